"""The guides keep their word: what they quote stands on the screen, what they show to type runs."""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from babel.messages.pofile import read_po
from typer.testing import CliRunner

import forewarn
from data.pseudonyms import Pseudonymiser
from serving import metrics
from serving.cases.outcomes import WORDS
from serving.console.guide import GUIDES
from serving.console.tongues import CATALOGUE
from serving.requests.contracts import OutgoingMessage, ReceiverAnswer
from serving.requests.receivers import Office
from serving.requests.webhooks import Secret, signed_headers
from serving.server import Running

ADDRESS = "http://127.0.0.1:3000"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the standard's published example
MOST_LINES = 130


def guide(name: str) -> str:
    return (GUIDES / name).read_text("utf-8")


def blocks(text: str) -> list[tuple[str, str]]:
    return re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)


def of(language: str) -> list[str]:
    return [body for kind, body in blocks(guide("integrators.en.md")) if kind == language]


def commands() -> list[str]:
    text = "\n".join(of("console"))
    return [part.strip() for part in re.split(r"^\$ ", text, flags=re.MULTILINE) if part.strip()]


@pytest.mark.parametrize("name", ["officers", "integrators"])
def test_a_guide_is_a_page_and_the_same_in_both_languages(name: str) -> None:
    zh, en = guide(f"{name}.zh.md"), guide(f"{name}.en.md")
    assert blocks(zh) == blocks(en)
    for mark in (r"^#+ ", r"^- ", r"^\| ", r"^!\["):
        assert len(re.findall(mark, zh, re.MULTILINE)) == len(re.findall(mark, en, re.MULTILINE))
    assert len(en.splitlines()) <= MOST_LINES


@pytest.mark.parametrize("tongue", [0, 1], ids=["zh", "en"])
def test_bold_words_are_those_on_the_screen(tongue: int) -> None:
    with CATALOGUE.open("rb") as file:
        texts = [(str(one.string), str(one.id)) for one in read_po(file, "zh") if one.id]
    screen = [text[tongue] for text in [*texts, *WORDS.values()]]
    bold = re.findall(r"\*\*(.+?)\*\*", guide(f"officers.{('zh', 'en')[tongue]}.md"))
    assert len(bold) > 60
    assert [words for words in bold if not any(one.startswith(words) for one in screen)] == []


Type = Callable[..., str]


@pytest.fixture(scope="module")
def typed(service: Running) -> Type:
    """Type a command beside the running service; what it prints."""
    settings = service.settings
    own = {
        "FOREWARN_VAR": str(settings.var),
        "FOREWARN_DATABASE_URL": settings.database_url or "",
        "FOREWARN_PSEUDONYM_KEY": (settings.pseudonym_key or b"").hex(),
    }

    def run(line: str, **instead: str) -> str:
        words = [instead.get(word, word) for word in shlex.split(line)]
        done = CliRunner().invoke(forewarn.app, words[1:], env=own)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


@pytest.fixture(scope="module")
def bank_key(typed: Type) -> str:
    """The key that the guide's first command gives out."""
    (line,) = [one for one in commands() if one.startswith("forewarn keys add")]
    return typed(line).split()[-1]


def asked(service: Running, line: str, key: str) -> Any:
    """What a curl line of the guide is answered."""
    here = line.replace(ADDRESS, service.url).replace("$KEY", key)
    done = subprocess.run(shlex.split(here), check=True, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


def curl(part: str) -> str:
    (line,) = [one for one in commands() if one.startswith("curl") and part in one]
    return line


def test_every_command_of_the_guide_is_run_here() -> None:
    parts = ("fraud/score ", "/v1/events", "decisions", "attempts", "answer", "ready", "metrics")
    run = {curl(part) for part in parts}
    assert {one for one in commands() if not one.startswith("forewarn")} == run


def test_the_commands_of_administrators_run(typed: Type, bank_key: str) -> None:
    key_id = bank_key.split("_")[1]
    other = typed("forewarn keys add another --scope score").split("_")[1]
    for line in commands():
        if line.startswith("forewarn") and "keys add" not in line:
            said = typed(line, KEY_ID=other)
            if "keys list" in line:
                assert key_id in said


def test_what_happened_is_sent_and_read_back(service: Running, bank_key: str) -> None:
    scored = asked(service, curl("fraud/score "), bank_key)
    assert scored["score"] is not None
    assert asked(service, curl("fraud/score "), bank_key) == scored
    assert asked(service, curl("/v1/events"), bank_key)["accepted"] == 1
    kept = asked(service, curl("decisions"), bank_key)
    assert kept["recomputed"]["equal"]


def test_a_contact_counts_once(service: Running, bank_key: str) -> None:
    told = asked(service, curl("attempts"), bank_key)
    assert {"contacts_left", "contact_again_at"} <= set(told)
    assert asked(service, curl("attempts"), bank_key) == told


def test_what_breaks_is_answered_as_the_table_says(service: Running, bank_key: str) -> None:
    (body,) = re.findall(r"-d '(.*)'", curl("fraud/score "), re.DOTALL)
    event = {**json.loads(body), "event_id": "bank-7002"}
    headers = {"Authorization": f"Bearer {bank_key}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=30) as bank:

        def status(**changes: Any) -> int:
            return bank.post("/v1/fraud/score", json={**event, **changes}).status_code

        assert status(amount_fen="much") == 422
        assert status() == 200  # mended, under the same id
        assert status(amount_fen=1) == 409
        assert bank.post("/v1/appeals", json={}).status_code == 403
        del bank.headers["Authorization"]
        assert status() == 401


def test_an_answer_is_what_the_service_takes(service: Running, bank_key: str) -> None:
    (body,) = re.findall(r"-d '(.*)'", curl("answer"), re.DOTALL)
    assert ReceiverAnswer.model_validate_json(body).version is None
    # nobody's request: whose it is, the tests of requests say
    line = curl("answer").replace("REQUEST_ID", "01a204b9-75f7-770b-b8e1-54946e67b687")
    assert asked(service, line, bank_key)["type"].endswith("not-found")


def test_it_is_watched(service: Running, bank_key: str, key: str) -> None:
    assert asked(service, curl("ready"), bank_key)["ready"]
    assert "# HELP forewarn_requests_total" in asked(service, curl("metrics"), key)
    # of several workers only what was counted once is shown
    ours = Path(metrics.__file__).read_text("utf-8")
    names = set(re.findall(r"`(forewarn_\w+)`", guide("integrators.en.md")))
    assert len(names) == 4
    assert [name for name in names if f'"{name}"' not in ours] == []


@pytest.fixture(scope="module")
def python() -> dict[str, Any]:
    """What the guide's Python defines."""
    names: dict[str, Any] = {}
    for body in of("python"):
        exec(body, names)  # noqa: S102 - our own page
    return names


def test_the_python_of_the_guide_verifies_our_signatures(python: dict[str, Any]) -> None:
    verified, body, now = python["verified"], b'{"type": "request.freeze"}', int(time.time())
    other = Secret(b"another, while it is being changed")
    headers = signed_headers("m-1", now, body, [other, Secret.of(SECRET)])
    assert verified(SECRET, headers, body)
    assert not verified(SECRET, headers, body + b" ")
    assert not verified(SECRET, {**headers, "webhook-id": "m-2"}, body)
    assert not verified(SECRET, {**headers, "webhook-timestamp": str(now + 1)}, body)
    assert not verified(SECRET, signed_headers("m-1", now - 600, body, [Secret.of(SECRET)]), body)
    assert not verified(SECRET, signed_headers("m-1", now, body, [other]), body)


def test_the_python_of_the_guide_finds_a_customer(python: dict[str, Any]) -> None:
    key, account = bytes(range(32)), "6222020200112233445"
    assert python["pseudonym"](key, account) == Pseudonymiser(key).one("acc", account)


def test_the_messages_of_the_guide_are_ours(tmp_path: Path) -> None:
    receivers, message = of("json")
    (tmp_path / "receivers.json").write_text(receivers, "utf-8")
    (tmp_path / "example-bank.secret").write_text(f"{SECRET}\n{SECRET}\n")
    (bank,) = Office.load(tmp_path / "receivers.json").receivers.values()
    assert len(bank.secrets) == 2
    told = OutgoingMessage.model_validate_json(message)
    assert told.type == f"request.{told.data.kind}"


def test_the_districts_of_the_guide_are_taken(typed: Type, tmp_path: Path) -> None:
    (table,) = of("csv")
    (tmp_path / "districts.csv").write_text(table, "utf-8")
    assert "1 citizens, 1 of them new or moved" in typed(
        "forewarn districts FILE", FILE=str(tmp_path / "districts.csv")
    )
