"""An emptied database, a case with a transfer in it, people, and a bank that really listens."""

import json
import random
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from data.database import event_row, insert_events
from data.events import Transfer
from serving.access.roles import Action, Actor, Role
from serving.cases.admission import admit
from serving.cases.case import Case
from serving.cases.config import CaseConfig
from serving.cases.contracts import Form
from serving.cases.evidence import OURS, Admitted
from serving.cases.forms import Turn
from serving.requests import lifecycle
from serving.requests.contracts import Draft, Requested, RequestForm
from serving.requests.measures import Kind
from serving.requests.outbox import Outbox, Patience
from serving.requests.receivers import Office, Receiver
from serving.requests.request import Request
from serving.requests.tables import OUTBOX, REQUESTS
from serving.requests.webhooks import Secret

NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TABLES = (
    "appeals, outbox, requests, case_forms, case_notes, outcomes, attempts, case_evidence, cases, "
    "events"
)
CITIZEN = f"tel_{'1' * 32}"
PAYEE, PAYER = f"acc_{'2' * 32}", f"acc_{'3' * 32}"
KEY = b"a secret of the bank, 32 bytes.."


class People:
    """Who takes part."""

    officer = Actor("li", Role.OFFICER)
    elsewhere = Actor("far", Role.OFFICER, "巴南区")
    approver = Actor("he", Role.APPROVER)
    second = Actor("sun", Role.APPROVER)
    chief = Actor("chief", Role.SUPERVISOR)
    other_chief = Actor("chief2", Role.SUPERVISOR)
    bank = Actor(
        "key:bankbank",
        Role.SYSTEM,
        scopes=frozenset({Action.ANSWER_MEASURE, Action.FILE_APPEAL}),
    )
    other_bank = Actor("key:otherone", Role.SYSTEM, scopes=frozenset({Action.ANSWER_MEASURE}))


@pytest.fixture(scope="session")
def people() -> People:
    return People()


@pytest.fixture
def database(database: Any) -> Any:
    """The database without a case or a request."""
    database.empty(TABLES)
    return database


@dataclass
class Bank:
    """A receiver on this machine; `script` says how it answers each call, 200 afterwards."""

    url: str = ""
    script: list[Any] = field(default_factory=list)
    calls: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]


@pytest.fixture
def bank() -> Iterator[Bank]:
    bank = Bank()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            bank.calls.append(({name.lower(): text for name, text in self.headers.items()}, body))
            step = bank.script.pop(0) if bank.script else 200
            if step == "hang":
                bank.release.wait(10)
                return
            if step == "drop":
                self.connection.close()
                return
            status, headers, said = step if isinstance(step, tuple) else (step, {}, b"{}")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass

    listening = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    bank.url = f"http://127.0.0.1:{listening.server_address[1]}/in"
    yield bank
    bank.release.set()
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def office(bank: Bank) -> Office:
    banking = frozenset({Kind.STOP_PAYMENT, Kind.FREEZE, Kind.RETURN_OF_FUNDS})
    secret = (Secret(KEY),)
    answers = frozenset({"key:bankbank"})
    found = (
        Receiver("bank", bank.url, banking, secret, answered_by=answers),
        Receiver("police", bank.url, frozenset({Kind.DISPATCH}), secret),
    )
    return Office({one.name: one for one in found})


keys = iter(range(10_000_000, 99_999_999))


@dataclass
class Desk:
    """Acts, each in a transaction of its own."""

    database: Any
    office: Office
    config: CaseConfig
    people: People
    now: datetime = NOW

    def act(
        self,
        work: Callable[..., Awaitable[Any]],
        *args: Any,
        by: Actor | None = None,
        minute: float = 0,
        **more: Any,
    ) -> Any:
        async def one(connection: AsyncConnection) -> Any:
            at = self.now + minute * MINUTE
            actor = by or self.people.officer
            return await work(Turn(connection, actor, at, self.config), *args, **more)

        return self.database.within(one)

    def key(self) -> str:
        return f"key-{next(keys)}"

    def case(self) -> Case:
        (one,) = self.database.cases()
        return one  # type: ignore[no-any-return]

    def case_form(self, case: Case | None = None) -> Form:
        case = case or self.case()
        return Form(case_id=case.case_id, version=case.version, key=self.key())

    def form(self, request: Requested | Request, **changes: Any) -> RequestForm:
        whole = {
            "request_id": request.request_id,
            "version": request.version,
            "key": self.key(),
        }
        return RequestForm(**{**whole, **changes})

    def draft(self, kind: str = "stop_payment", **changes: Any) -> Requested:
        to, subject = ("police", CITIZEN) if kind == "dispatch" else ("bank", PAYEE)
        whole = {"kind": kind, "receiver": to, "subject": subject, **changes}
        asked = Draft(**whole)
        return self.act(lifecycle.draft, self.office, self.case_form(), asked)  # type: ignore[no-any-return]

    def signed(self, kind: str = "stop_payment", **changes: Any) -> Requested:
        drafted = self.draft(kind, **changes)
        return self.act(lifecycle.sign, self.form(drafted), by=self.people.approver)  # type: ignore[no-any-return]

    def current(self, request: Requested) -> Request:
        one = select(REQUESTS).where(REQUESTS.c.request_id == request.request_id)
        (row,) = self.database.rows(one)
        return Request(**row)

    def messages(self) -> list[dict[str, Any]]:
        return self.database.rows(select(OUTBOX).order_by(OUTBOX.c.seq))  # type: ignore[no-any-return]

    def deliver(self, minute: float = 0, **changes: Any) -> int:
        patience = Patience(**{"timeout_s": 0.5, **changes})

        async def sent(engine: AsyncEngine) -> int:
            outbox = Outbox(engine, self.office, patience, random.Random(7))
            try:
                return await outbox.deliver(self.now + minute * MINUTE)
            finally:
                await outbox.close()

        return self.database.run(sent)  # type: ignore[no-any-return]


@pytest.fixture
def desk(database: Any, office: Office, people: People) -> Desk:
    """A desk with one open case: a citizen whose money is leaving."""
    config = CaseConfig.preset()
    alert = Admitted(
        event_id="e1",
        subscriber=CITIZEN,
        kind="transfer",
        platform=OURS,
        level="red",
        urgency=0,
        deadline=timedelta(hours=1),
        score=0.4,
        stage="paying",
        scam_type="investment",
        amount_cny=50_000.0,
        occurred_at=NOW,
        known_at=NOW,
        zh="可疑转账",
        en="a suspicious transfer",
    )
    transfer = Transfer(
        event_id="e1",
        occurred_at=NOW,
        known_at=NOW,
        subscriber=CITIZEN,
        counterpart=PAYEE,
        account=PAYER,
        amount_fen=5_000_000,
    )

    async def filled(connection: AsyncConnection) -> None:
        row = event_row(transfer, seq=0, late=False)
        await connection.run_sync(lambda plain: insert_events(plain, [row]))
        await admit(connection, [alert], config)

    database.within(filled)
    return Desk(database, office, config, people)
