"""How fast a score over HTTP is on one machine, beside an endpoint that only answers.

The service runs as in production: BentoML workers, PostgreSQL (each decision on disk before it is
answered), Valkey. Client, workers and stores share the machine, so the ratio to the echo of the
same run says more than the milliseconds.
"""

import asyncio
import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from data.database import connect
from data.settings import Settings
from experiments.result import Result
from features import FRAUD_FEATURES
from models.bundle import Parts
from models.card import Card
from models.fraud import FraudModel, fraud_recipe
from models.norms import Norms
from models.policy import Policy
from models.scam_type import ScamTypeModel
from models.signing import Signer
from models.stage import StageModel
from models.trees import Rows
from serving.access import Action, Actor, Desk, Role
from serving.server import Place, Running, running, stores

__all__ = ["echo", "run"]

HOST = "127.0.0.1"
CITIZENS = 500
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Load:
    """One scenario: what is sent, how much of it, how many at once."""

    name: str
    path: str
    requests: int
    at_once: int
    events: int = 0


@dataclass(frozen=True)
class Timing:
    """What came of a load: seconds of each request, and of all together."""

    load: Load
    seconds: Sequence[float]
    elapsed: float

    def quantile(self, share: float) -> float:
        """Milliseconds that this share of the requests stayed below."""
        return float(np.quantile(self.seconds, share)) * 1e3

    @property
    def per_second(self) -> float:
        """Events a second (requests, where a request is one event or none)."""
        return len(self.seconds) * max(self.load.events, 1) / self.elapsed


async def echo(_: Any, receive: Any, send: Any) -> None:
    """The rival: an ASGI application that gives the body back and does nothing else."""
    message = await receive()
    body = message.get("body", b"")
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def run(
    *, quick: bool = False, real_data: Path | None = None, progress: Progress | None = None
) -> Result:
    """Measure latency and throughput of scoring, with one worker and with two.

    Parameters
    ----------
    quick : bool
        A few requests, for shape only.
    real_data : Path, optional
        Not used: speed does not depend on whose calls they are.
    progress : callable, optional
        Told each step.
    """
    del real_data
    tell = progress or (lambda _step, _share: None)
    timings: dict[str, Timing] = {}
    with tempfile.TemporaryDirectory(prefix="forewarn-bench-") as folder:
        settings = _deployment(Path(folder), quick=quick)
        with _echo_server() as port:
            tell("echo", 0.1)
            for load in _loads(quick)[:2]:
                timings[f"echo, {load.name}"] = _measured(port, replace(load, path="/echo"))
        with stores(settings):  # once for both
            for workers in (1, 2):
                place = Place(port=_free_port(), workers=workers)
                with running(settings, place) as service:
                    tell(f"{workers} workers", 0.3 * workers)
                    key = _key(service)
                    for load in _loads(quick) if workers == 1 else _loads(quick)[1:2]:
                        name = f"{workers} worker(s), {load.name}"
                        timings[name] = _measured(place.port, load, key)
    return _result(timings)


def _loads(quick: bool) -> list[Load]:
    n = 60 if quick else 3_000
    return [
        Load("one at a time", "/v1/fraud/score", n, 1, 1),
        Load("16 at once", "/v1/fraud/score", n, 16, 1),
        Load("explained, one at a time", "/v1/fraud/score?explain=true", n // 3, 1, 1),
        Load("batches of 100", "/v1/fraud/score_batch", n // 30, 1, 100),
    ]


def _result(timings: dict[str, Timing]) -> Result:
    alone, crowd = timings["echo, one at a time"], timings["echo, 16 at once"]
    rows = [
        (
            name,
            f"{timing.quantile(0.5):.2f}",
            f"{timing.quantile(0.95):.2f}",
            f"{timing.quantile(0.99):.2f}",
            f"{timing.per_second:,.0f}",
        )
        for name, timing in timings.items()
    ]
    one, two = timings["1 worker(s), 16 at once"], timings["2 worker(s), 16 at once"]
    single = timings["1 worker(s), one at a time"]
    explained = timings["1 worker(s), explained, one at a time"]
    return Result(
        title="Scoring over HTTP on 127.0.0.1, each decision on disk before it is answered",
        columns=("what", "median ms", "95 % ms", "99 % ms", "events/s"),
        rows=rows,
        figures={
            "median_ms": round(single.quantile(0.5), 3),
            "p99_ms": round(single.quantile(0.99), 3),
            "per_second_one_worker": round(one.per_second, 1),
            "per_second_two_workers": round(two.per_second, 1),
            "ratio_echo_median": round(single.quantile(0.5) / alone.quantile(0.5), 2),
            "ratio_echo_throughput": round(one.per_second / crowd.per_second, 4),
            "ratio_explain": round(explained.quantile(0.5) / single.quantile(0.5), 2),
            "ratio_two_workers": round(two.per_second / one.per_second, 2),
        },
        notes=(
            "Client, workers, PostgreSQL and Valkey share the machine's cores.",
            "The echo is a bare ASGI application under uvicorn, one process, same client.",
            f"{CITIZENS} citizens; trees grown on made-up vectors of the full feature set.",
        ),
    )


def _deployment(var: Path, *, quick: bool) -> Settings:
    _parts(quick).write(var / "bundles" / "bench", Signer.at(var / "keys" / "bundle.pem"))
    return Settings(var=var, pseudonym_key=secrets.token_bytes(32))


def _parts(quick: bool) -> Parts:
    """Models as large as trained ones, grown on made-up vectors: only their speed matters."""
    rng = np.random.default_rng(1)
    n, names = (600, FRAUD_FEATURES.names) if quick else (20_000, FRAUD_FEATURES.names)
    X = rng.poisson(2.0, (n, len(names))).astype(np.float64)
    y = (X[:, :40].sum(axis=1) + rng.normal(0, 4, n) > 88).astype(np.int64)
    rounds = 5 if quick else 150
    fraud = FraudModel.fit(Rows(X, y), names, replace(fraud_recipe(), rounds=rounds))
    fraud = fraud.calibrate(X, y)
    few = max(rounds // 10, 1)
    types = ScamTypeModel.fit(
        Rows(X, np.arange(n) % 11), names, replace(ScamTypeModel.recipe(), rounds=few)
    )
    stage = StageModel.fit(
        Rows(X, np.arange(n) % 3), names, replace(StageModel.recipe(), rounds=few)
    )
    policy = Policy.fit(fraud.score(X), np.arange(n) // (n // 4), np.arange(n))
    norms = Norms.fit(X, np.array(["call"] * n), names)
    card = Card("Bench", "Measure speed.", "2026-01-01T00:00:00+00:00")
    return Parts(fraud, types, stage, policy, norms, FRAUD_FEATURES, card)


@contextmanager
def _echo_server() -> Iterator[int]:
    port = _free_port()
    command = ("-m", "uvicorn", "experiments.serving:echo", "--port", str(port))
    quiet = ("--no-access-log", "--log-level", "warning", "--lifespan", "off")
    with ExitStack() as stack:
        process = subprocess.Popen([sys.executable, *command, *quiet])  # noqa: S603
        stack.callback(process.wait)
        stack.callback(process.terminate)
        _wait_for(port)
        yield port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"expected the echo on port {port} within 60 s, found nobody; free the port")


def _key(service: Running) -> str:
    engine = connect(service.settings.database_url or "")
    try:
        desk = Desk(engine, Actor("bench", Role.ADMINISTRATOR), lambda: datetime.now(UTC))
        return desk.new_key("bench", [Action.SCORE])[1]
    finally:
        engine.dispose()


def _measured(port: int, load: Load, key: str = "") -> Timing:
    return asyncio.run(_drive(port, load, key))


async def _drive(port: int, load: Load, key: str) -> Timing:
    bodies = iter([_body(load, number) for number in range(load.requests)])
    seconds: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for body in bodies:
            began = time.perf_counter()
            await _exchange(reader, writer, _request(load.path, body, key))
            seconds.append(time.perf_counter() - began)
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    work: list[Awaitable[None]] = [client() for _ in range(load.at_once)]
    await asyncio.gather(*work)
    return Timing(load, seconds, time.perf_counter() - began)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> None:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise RuntimeError(f"expected status 200, found {head.splitlines()[0]!r}; see the log")
    if b"content-length:" not in head:
        raise RuntimeError("expected an answer of known length, found none; send Content-Length")
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)


def _request(path: str, body: bytes, key: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _body(load: Load, number: int) -> bytes:
    if load.events <= 1:
        return json.dumps(_event(number)).encode()
    events = [_event(number * load.events + each) for each in range(load.events)]
    return json.dumps({"events": events}).encode()


def _event(number: int) -> dict[str, Any]:
    return {
        "kind": "call",
        "event_id": f"bench-{secrets.token_hex(8)}",
        "occurred_at": datetime.now(UTC).isoformat(),
        "subscriber": f"1380000{number % CITIZENS:04d}",
        "counterpart": f"1390000{(number * 7) % 3_000:04d}",
        "direction": "incoming" if number % 2 else "outgoing",
        "duration_s": number % 900,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
