"""The demonstration keeps to itself, and says in a sentence why it cannot go on."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from data.settings import Settings
from experiments import demo

ROOT = Path(__file__).resolve().parents[2]


class _Answers(BaseHTTPRequestHandler):
    """Answers with the statuses it is given, one a request; the last for ever."""

    statuses: list[int] = []  # noqa: RUF012 - each test sets its own

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"status": status}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answering() -> Iterator[httpx.Client]:
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as client:
        yield client
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_demonstration_never_meets_the_deployments_stores(tmp_path: Path) -> None:
    deployed = Settings(
        var=tmp_path,
        database_url="postgresql://deployment/real",
        valkey_url="valkey://deployment",
        tracking_url="http://deployment",
    )
    apart = demo._apart(deployed)
    assert apart.var == tmp_path / "demo"
    assert (apart.database_url, apart.valkey_url, apart.tracking_url) == (None, None, None)


def test_an_event_is_sent_again_until_the_service_takes_it(answering: httpx.Client) -> None:
    _Answers.statuses = [503, 200]
    assert demo._sent(answering, "/v1/fraud/score", {}).status_code == 200


def test_an_event_that_is_refused_ends_the_stream_with_a_sentence(answering: httpx.Client) -> None:
    _Answers.statuses = [422]
    with pytest.raises(demo.DemoError, match="expected /v1/reports to take an event"):
        demo._sent(answering, "/v1/reports", {})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["simulate", "--subscribers", "0"], "--subscribers"),
        (["train", "fraud", "--levels", "nowhere.json"], "nowhere.json"),
        (["train", "lines", "nowhere"], "nowhere"),
        (["train", "fraud", "--levels", "README.md", "--per-day", "3"], "one of the two"),
        (["train", "fraud"], "history"),
    ],
)
def test_a_wrong_command_is_answered_by_a_sentence(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "forewarn.py"), *arguments],
        env={"FOREWARN_VAR": str(tmp_path), "PATH": "", "COLUMNS": "200"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert said in done.stderr
