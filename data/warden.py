"""Keeps one embedded server running for as long as somebody uses it.

Run as a script by `data.embedded`, never imported by it. Users hold a shared lock on a file; the
warden asks for the exclusive one. It gets it when the last user has gone, however that user went
(the kernel drops the locks of the killed, too), and then stops the server.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from typing import Any

PATIENCE_S = 30


def guard(order: dict[str, Any]) -> None:
    """Start the server of `order`, wait until nobody uses it, stop it."""
    lock = os.open(order["lock"], os.O_RDWR)
    server = _start(order)

    def stop(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(order["signal"])

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGCHLD, lambda *_: _leave(server))
    _leave(server)
    fcntl.flock(lock, fcntl.LOCK_EX)
    stop()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(PATIENCE_S)
    server.kill()
    server.wait()


def _start(order: dict[str, Any]) -> "subprocess.Popen[bytes]":
    with open(order["log"], "ab") as log:  # noqa: PTH123  (pathlib would double the start-up)
        return subprocess.Popen(  # noqa: S603
            order["command"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=order["folder"],
            umask=0o077,
            user=order["user"],
            group=order["group"],
            extra_groups=None if order["user"] is None else [],
        )


def _leave(server: "subprocess.Popen[bytes]") -> None:
    if server.poll() is not None:
        os._exit(0)


if __name__ == "__main__":
    os.setsid()  # a Ctrl-C at the terminal is for the users; the server goes after them
    guard(json.loads(sys.argv[1]))
