"""The page of rules and lists: each deed by its form, refusals in words, both languages."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.routing import Route

from serving.access.roles import Actor
from serving.cases.config import CaseConfig
from serving.cases.room import CaseRoom
from serving.console.assets import Assets
from serving.console.pages import Pages
from serving.console.rules_page import EXAMPLE, rules_page
from serving.console.tongues import COOKIE
from serving.rules.desk import RuleDesk
from serving.rules.tables import ENTRIES, VERSIONS
from serving.rules.trial import Trials

CHINESE = re.compile(r"[\u4e00-\u9fff]")
Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(bureau: Any) -> Ask:
    """Asks the page, or sends one of its forms, as somebody."""
    pages = Pages.of(Assets.of())
    if not pages.assets.built:
        pytest.skip("the console's files are not built: npm ci in serving/console")

    def asked(by: Actor, language: str = "zh", **fields: str) -> httpx.Response:
        async def whole(engine: AsyncEngine) -> httpx.Response:
            room = CaseRoom(engine, CaseConfig.preset(), lambda: bureau.now)
            page = partial(rules_page, pages)
            app = Starlette(routes=[Route("/console/rules", page, methods=["GET", "POST"])])
            app.state.rules = RuleDesk(room, bureau.pseudonymiser, Trials(bureau.settings))

            async def gated(scope: Any, receive: Any, send: Any) -> None:
                state = {"actor": by, "token": "a token"}
                await app({**scope, "state": state}, receive, send)

            transport = httpx.ASGITransport(app=gated)
            headers = {"cookie": f"{COOKIE}={language}"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://test", headers=headers
            ) as client:
                if not fields:
                    return await client.get("/console/rules")
                return await client.post("/console/rules", data=fields)

        return bureau.run(whole)

    return asked


def test_a_rule_is_written_shown_and_signed_on_the_page(
    bureau: Any, ask: Ask, found: Any, li: Actor, wang: Actor
) -> None:

    empty = ask(li)
    assert empty.status_code == 200
    assert "没有规则" in empty.text
    text = json.dumps(EXAMPLE, ensure_ascii=False)
    assert ask(li, deed="draft", rule=text, key=bureau.key()).status_code == 303
    assert "尚未检验" in ask(li).text
    bureau.tested(EXAMPLE["name"], 1, found, li)
    mine, theirs = ask(li).text, ask(wang).text
    assert 'value="live"' not in mine
    assert 'value="live"' in theirs
    for shown in ("1%", "25%", "7%–59%"):  # match rate, hit rate, its interval
        assert shown in theirs
    form = {"name": EXAMPLE["name"], "version": "1"}
    refused = ask(li, deed="live", key=bureau.key(), **form)
    assert refused.status_code == 409
    assert "规则须由作者以外的人启用" in refused.text
    assert ask(wang, deed="live", key=bureau.key(), **form).status_code == 303
    assert bureau.rows(select(VERSIONS.c.state)) == [{"state": "live"}]
    assert ask(wang, deed="retire", key=bureau.key(), **form).status_code == 303
    assert "已停用版本：1" in ask(wang).text


def test_what_is_no_rule_comes_back_to_be_mended(bureau: Any, ask: Ask, li: Actor) -> None:
    for text in ("{", "[]", '{"name": "a<script>"}'):
        answer = ask(li, deed="draft", rule=text, key=bureau.key())
        assert answer.status_code == 422
        assert "expected" in answer.text
        assert "<script>" not in answer.text.replace("<script src", "")
    assert ask(li, deed="fly", key=bureau.key()).status_code == 422
    stale = ask(li, deed="live", name="nobody", version="x", key=bureau.key())
    assert stale.status_code == 422


def test_somebody_is_put_on_a_list_and_taken_off(bureau: Any, ask: Ask, wang: Actor) -> None:
    until = (bureau.now + timedelta(days=3)).date().isoformat()
    form = {"list": "deny", "kind": "phone", "value": "13800138000", "owner": "反诈中心"}
    sent = {"deed": "add", **form, "reason": "three reports", "until": until}
    assert ask(wang, key=bureau.key(), **sent).status_code == 303
    page = ask(wang).text
    member = bureau.pseudonymiser.one("tel", "13800138000")
    assert member in page
    assert "13800138000" not in page
    again = ask(wang, key=bureau.key(), **sent)
    assert again.status_code == 409
    assert "13800138000" not in again.text  # a number is not shown again, not even to its sender
    (entry,) = bureau.rows(select(ENTRIES))
    off = {"deed": "remove", "list": "deny", "entry_id": entry["entry_id"]}
    assert ask(wang, key=bureau.key(), **off).status_code == 303
    assert "wang.fang已移除" in ask(wang).text
    bad = ask(wang, key=bureau.key(), **{**sent, "until": ""})
    assert bad.status_code == 422


def test_a_colleague_decides_on_the_page_who_is_spared_warnings(
    bureau: Any, ask: Ask, wang: Actor, li: Actor
) -> None:
    until = (bureau.now + timedelta(days=3)).date().isoformat()
    form = {"list": "allow", "kind": "phone", "value": "13800138000", "owner": "反诈中心"}
    sent = {"deed": "add", **form, "reason": "the city's own line", "until": until}
    assert ask(wang, key=bureau.key(), **sent).status_code == 303
    mine, theirs = ask(wang).text, ask(li).text
    assert "待同事复核" in mine
    assert 'value="entry_live"' not in mine
    assert "撤回" in mine
    assert 'value="entry_live"' in theirs
    assert "不同意" in theirs
    (entry,) = bureau.rows(select(ENTRIES))
    deed = {"list": "allow", "entry_id": entry["entry_id"]}
    refused = ask(wang, deed="entry_live", key=bureau.key(), **deed)
    assert refused.status_code == 409
    assert "白名单条目须由添加人以外的人启用" in refused.text
    assert ask(li, deed="entry_live", key=bureau.key(), **deed).status_code == 303
    page = ask(wang).text
    assert "待同事复核" not in page
    assert "li.wei" in page
    assert ask(wang, key=bureau.key(), **sent).status_code == 303
    (second,) = bureau.rows(select(ENTRIES).where(ENTRIES.c.live_at.is_(None)))
    no = {"list": "allow", "entry_id": second["entry_id"]}
    assert ask(li, deed="remove", key=bureau.key(), **no).status_code == 303
    assert "li.wei未同意" in ask(wang).text


def test_the_page_speaks_english(
    ask: Ask, bureau: Any, document: Callable[..., Any], li: Actor
) -> None:
    bureau.draft(document(owner="analysts"), li)
    page = ask(li, "en").text
    main = page[page.index("<main") : page.index("</main")]
    assert "a transfer of CNY 50,000 or more" in main
    outside = re.sub(r"<textarea.*?</textarea>", "", main, flags=re.DOTALL)
    assert not CHINESE.search(outside)
