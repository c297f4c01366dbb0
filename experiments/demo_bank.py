"""A simulated bank and operator in the demonstration: takes signed requests and answers them.

What a receiver has to do is all here: check the signature of Standard Webhooks over the raw body,
refuse an old timestamp, do the same ``webhook-id`` once, answer over the API with a key of its own.
"""

import base64
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

__all__ = ["Bank", "bank"]

KINDS = ("stop_payment", "freeze", "number_shut_down", "return_of_funds", "dispatch")
_OLD_S = 300  # what Standard Webhooks asks receivers to refuse
_THINKS_S = 4.0


@dataclass
class Bank:
    """Whoever receives.

    Parameters
    ----------
    port : int
        Of 127.0.0.1 at which it listens.
    service : str
        Where it answers; known when the service runs.
    key : str
        Its API key there.
    """

    port: int
    service: str = ""
    key: str = field(default="", repr=False)
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    seen: set[str] = field(default_factory=set)

    def settings(self, folder: Path, key_id: str) -> Path:
        """Write the file that ``FOREWARN_RECEIVERS`` names, with its secret beside it."""
        text = f"whsec_{base64.b64encode(self.secret).decode()}\n"
        (folder / "bank.secret").write_text(text, "ascii")
        line = {
            "name": "simulated-bank",
            "zh": "模拟银行与运营商",
            "en": "simulated bank and operator",
            "url": f"http://127.0.0.1:{self.port}/requests",
            "kinds": KINDS,
            "secret_file": "bank.secret",
            "answered_by": [f"key:{key_id}"],
        }
        path = folder / "receivers.json"
        path.write_text(json.dumps({"receivers": [line]}, ensure_ascii=False), "utf-8")
        return path

    def takes(self, headers: Mapping[str, str], body: bytes) -> int:
        """The status that a message gets."""
        name, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "0")
        content = b".".join((name.encode(), at.encode(), body))
        wanted = base64.b64encode(hmac.new(self.secret, content, sha256).digest()).decode()
        given = headers.get("webhook-signature", "").split()
        if not any(hmac.compare_digest(each, f"v1,{wanted}") for each in given):
            return 401
        if not at.isdecimal() or abs(time.time() - int(at)) > _OLD_S:
            return 400
        if name not in self.seen:
            self.seen.add(name)
            threading.Timer(_THINKS_S, self._answer, [json.loads(body)]).start()
        return 202

    def _answer(self, message: Mapping[str, Any]) -> None:
        if not message["type"].startswith("request."):
            return  # an undo is carried out, and needs no word
        asked = message["data"]
        said = {
            "answer": "accepted",
            "words": "simulated: done",
            "stopped_cny": asked["amount_cny"],
            "key": secrets.token_hex(16),
        }
        httpx.post(
            f"{self.service}/v1/requests/{asked['request_id']}/answer",
            json=said,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=10,
        )


@contextmanager
def bank() -> Iterator[Bank]:
    """Let one listen for the length of a block."""

    class Counter(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            found = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(here.takes(found, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Counter)
    here = Bank(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
