"""A test from beginning to end: a history on disk, a published bundle, what is typed, a process."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from data.database import connect
from data.history import History
from data.intake import Intake
from data.pseudonyms import Pseudonymiser
from data.settings import Settings
from data.simulator import City, simulate
from forewarn import app
from serving.access import Desk
from serving.access.accounts import set_password_hash
from serving.access.passwords import Passwords
from serving.access.roles import Actor, Role
from serving.problems import Problem
from serving.rule_commands import RuleRefusedError
from serving.rules.tables import RULES, VERSIONS
from serving.rules.trial import Trials

PASSWORD = "four random words of hers"
Make = Callable[..., dict[str, Any]]
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def deployed(new_settings: Callable[[], Settings], server: str) -> Settings:
    """A deployment with three weeks of history, and a supervisor."""
    settings = new_settings()
    intake = Intake(Pseudonymiser.from_settings(settings))
    history = History(settings.var / "history")
    city = City(subscribers=200, days=21, victims_per_100k_days=4_000.0, staged=0)
    for batch in simulate(city).batches():
        history.append(intake.table(batch)[0])
    engine = connect(server)
    now = datetime.now(UTC)
    desk = Desk(engine, Actor("tests", Role.ADMINISTRATOR), lambda: now)
    desk.add_account("wang.fang", Role.SUPERVISOR)
    with engine.begin() as connection:
        kept = Passwords().hash(PASSWORD)
        set_password_hash(connection, "wang.fang", kept, now, must_change=False)
    engine.dispose()
    return replace(settings, database_url=server)


@pytest.fixture
def run(deployed: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Types a command."""
    environment = {
        "FOREWARN_VAR": str(deployed.var),
        "FOREWARN_DATABASE_URL": deployed.database_url or "",
        "FOREWARN_PSEUDONYM_KEY": (deployed.pseudonym_key or b"").hex(),
        "COLUMNS": "200",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def typed(*words: str, text: str = "", fails: bool = False) -> Any:
        found = CliRunner().invoke(app, words, input=text)
        assert (found.exception is not None) == fails, (found.output, found.exception)
        return found

    return typed


def rows(settings: Settings, query: Any) -> list[Any]:
    engine = connect(settings.database_url or "")
    try:
        with engine.connect() as connection:
            return list(connection.execute(query))
    finally:
        engine.dispose()


def test_a_rule_and_a_list_from_the_command_line(
    run: Run, deployed: Settings, document: Make, tmp_path: Path
) -> None:
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(document()), "utf-8")
    assert "large_transfer@1 is a draft" in run("rules", "add", str(file)).output
    assert "not tested" in run("rules", "list").output
    early = run("rules", "live", "large_transfer", fails=True)
    assert isinstance(early.exception, RuleRefusedError)
    tested = run("rules", "test", "large_transfer").output
    assert "match rate" in tested
    assert "of the city's" in tested
    own = run("rules", "live", "large_transfer", fails=True)
    assert "another person than its author" in str(own.exception)
    by = ("--by", "wang.fang")
    run("rules", "live", "large_transfer", *by, text="a wrong one\n", fails=True)
    live = run("rules", "live", "large_transfer", *by, text=f"{PASSWORD}\n")
    assert "large_transfer@1 is live" in live.output
    (row,) = rows(deployed, select(VERSIONS).where(VERSIONS.c.name == "large_transfer"))
    assert (row.author[:4], row.live_by, row.state) == ("cli:", "wang.fang", "live")
    assert "is retired" in run("rules", "retire", "large_transfer").output
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(document(level="purple")), "utf-8")
    assert "level: expected one of red" in str(
        run("rules", "add", str(wrong), fails=True).exception
    )
    assert "event.amount.value" in run("rules", "features", "event.amount").output
    added = run(
        *("lists", "add", "deny", "phone", "-"),
        *("--owner", "centre", "--reason", "three reports"),
        text="13800138000\n",
    )
    assert "13800138000" not in added.output
    assert "tel_" in run("lists", "show", "deny").output
    (entry_id,) = re.findall(r"[0-9a-f-]{36}", added.output)
    run("lists", "remove", "deny", entry_id)
    assert "removed" in run("lists", "show", "deny").output
    allowed = run(
        *("lists", "add", "allow", "phone", "-"),
        *("--owner", "centre", "--reason", "the city's own line"),
        text="12345\n",
    )
    assert "it waits for a colleague" in allowed.output
    entry_id = re.findall(r"[0-9a-f-]{36}", allowed.output)[0]
    assert "waits" in run("lists", "show", "allow").output
    alone = run("lists", "live", "allow", entry_id, fails=True)
    assert "another person than who added it" in str(alone.exception)
    signed = run("lists", "live", "allow", entry_id, *by, text=f"{PASSWORD}\n")
    assert f"{entry_id} is live until" in signed.output


def test_a_test_runs_in_a_process_of_its_own(deployed: Settings, document: Make) -> None:
    content = document(name="in_a_process")
    li = Actor("li.wei", Role.DATA_SCIENTIST)
    now = datetime.now(UTC)
    engine = connect(deployed.database_url or "")
    with engine.begin() as connection:
        connection.execute(insert(RULES).values(name="in_a_process", versions=1))
        row = {"name": "in_a_process", "version": 1, "state": "draft", "owner": "a"}
        connection.execute(
            insert(VERSIONS).values({**row, "content": content, "author": "a", "created_at": now})
        )
    engine.dispose()

    async def tried() -> None:
        trials = Trials(deployed)
        trials.start(li, "in_a_process", 1)
        with pytest.raises(Problem, match="busy"):
            trials.start(li, "in_a_process", 1)
        await trials.wait()
        await trials.close()

    asyncio.run(tried())
    (found,) = rows(deployed, select(VERSIONS).where(VERSIONS.c.name == "in_a_process"))
    assert (found.state, found.tested_by) == ("tested", "li.wei")
    assert found.test["matched"] > 0
