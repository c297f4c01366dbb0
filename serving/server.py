"""The service as processes: stores, migrations, feature state, BentoML's workers; all stopped.

`running` is what the command line, the demo and the tests use. Whatever ends the block, an error,
Ctrl-C or SIGTERM, ends every process it started, in order.
"""

import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import psutil  # type: ignore[import-untyped]
from sqlalchemy.exc import SQLAlchemyError
from valkey.exceptions import ValkeyError

from data.database import connect, upgrade
from data.settings import Settings
from data.stores import StoreError, open_database, open_valkey
from features import FRAUD_FEATURES
from serving.recovery import is_whole, recover
from serving.shelf import Shelf

__all__ = [
    "Place",
    "Running",
    "ServerError",
    "require_free",
    "running",
    "serve",
    "stopped_by_signals",
    "stores",
]

ROOT = Path(__file__).resolve().parent.parent
READY_S = 180.0
STOP_S = 20.0
WATCH_S = 1.0

_FAILED = "Application startup failed"  # uvicorn's words; BentoML would try for ever

Store = Callable[[Settings], AbstractContextManager[str]]
_LOG = logging.getLogger("forewarn.serving")

Progress = Callable[[str, float], None]
"""Called with a sentence and the share done, 0 to 1."""


class ServerError(RuntimeError):
    """The service cannot run; the message says what was expected, found and the fix."""


@dataclass(frozen=True)
class Place:
    """Where the service listens and with how many workers."""

    host: str = "127.0.0.1"
    port: int = 3000
    workers: int = 2

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Running:
    """A service that answers.

    Parameters
    ----------
    url : str
        Address of the API.
    settings : Settings
        With the addresses of the stores in use.
    log : Path
        What the workers said.
    process : subprocess.Popen
        BentoML's supervisor.
    log_start : int
        Where in the log this run begins, in bytes.
    """

    url: str
    settings: Settings
    log: Path
    process: "subprocess.Popen[bytes]"
    log_start: int = 0

    def said(self) -> str:
        """What the workers of this run said so far."""
        with self.log.open("rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def workers(self) -> list[int]:
        """Process ids of the workers, in order of start."""
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return sorted(child.pid for child in children if _is_worker(child))

    def wait(self) -> int:
        """Wait for the service to end by itself; its exit code."""
        return self.process.wait()


@contextmanager
def stores(settings: Settings) -> Iterator[Settings]:
    """Hold both stores open, with the tables of today; yields settings with their addresses.

    Embedded stores are shared: whoever opens them again meanwhile meets the same ones.

    Raises
    ------
    StoreError
        If a store cannot be reached or started.
    """
    with open_database(settings) as database, open_valkey(settings) as valkey:
        upgrade(database)
        yield replace(settings, database_url=database, valkey_url=valkey)


def require_free(place: Place) -> None:
    """Check that nobody listens where the service shall, before anything slow is begun.

    Raises
    ------
    ServerError
        If another program listens there, or the address is none of this machine's.

    Examples
    --------
    >>> with socket.create_server(("127.0.0.1", 0)) as other:
    ...     require_free(Place(port=other.getsockname()[1]))
    Traceback (most recent call last):
    ...
    serving.server.ServerError: expected port ... to be free, found another program listening; ...
    """
    try:
        family, kind, *_, address = socket.getaddrinfo(place.host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # what a service that just ended left behind does not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address[0], place.port, *address[2:]))
    except (OSError, OverflowError) as error:
        raise _not_free(place, error) from error


def _not_free(place: Place, error: OSError | OverflowError) -> ServerError:
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return ServerError(
            f"expected port {place.port} to be free, found another program listening; "
            "choose another --port, or end that program"
        )
    return ServerError(
        f"expected to listen on {place.host}:{place.port}, found: {error}; "
        "choose another --host or --port"
    )


@contextmanager
def running(
    settings: Settings, place: Place | None = None, *, progress: Progress | None = None
) -> Iterator[Running]:
    """Run the service for the length of a block.

    Parameters
    ----------
    settings : Settings
        Stores whose URL is unset are started embedded, and stopped with the block.
    place : Place, optional
        Host, port, workers.
    progress : callable, optional
        Told each step.

    Raises
    ------
    BundleError
        If there is no bundle, or it must not be used.
    StoreError
        If a store cannot be reached or started.
    ServerError
        If the port is not free, or the service does not become ready; the end of its log is in
        the message.
    """
    place = place or Place()
    require_free(place)
    tell = progress or _silent
    with ExitStack() as stack:
        tell("checking the model bundle", 0.0)
        asked = replace(settings, bundle=_verified(settings))
        tell("starting PostgreSQL and Valkey", 0.1)
        settings = stack.enter_context(stores(asked))
        recover(settings, progress=tell)
        tell("starting the workers", 0.6)
        service = stack.enter_context(_workers(settings, place))
        _wait_ready(service, place)
        stack.enter_context(_watched(asked, settings))
        tell("ready", 1.0)
        yield service


def serve(
    settings: Settings, place: Place | None = None, *, progress: Progress | None = None
) -> int:
    """Run the service until a signal or its own end; what ``forewarn serve`` does.

    Returns
    -------
    int
        0 after a signal, else the exit code of the service.
    """
    code = 0
    with stopped_by_signals(), running(settings, place, progress=progress) as service:
        code = service.wait()
    return code  # noqa: RET504 - a signal ends the block before the assignment


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into the end of the block, quietly."""

    def stop(number: int, _: FrameType | None) -> None:
        raise _Stopped(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    except _Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stopped(BaseException):
    """A signal asked for the end."""


def _verified(settings: Settings) -> Path:
    """The bundle to serve, opened once in a process that may die; workers check it again."""
    shelf = Shelf.of(settings, FRAUD_FEATURES)
    shelf.champion(try_first=True)
    return shelf.bundle


@contextmanager
def _watched(asked: Settings, settings: Settings) -> Iterator[None]:
    """Start embedded stores again when they die, and rebuild feature state that was emptied."""
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(asked, settings, ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def _watch(asked: Settings, settings: Settings, ended: threading.Event) -> None:
    with ExitStack() as stack:
        while not ended.wait(WATCH_S):
            try:
                connect(settings.database_url or "").dispose()
                if not is_whole(settings):
                    recover(settings, progress=_silent)
            except ValkeyError:
                _again(stack, open_valkey, asked)
            except (SQLAlchemyError, StoreError):
                _again(stack, open_database, asked)


def _again(stack: ExitStack, store: Store, asked: Settings) -> None:
    try:
        stack.enter_context(store(asked))
    except StoreError:
        _LOG.exception("a store does not come back; it is tried again")


@contextmanager
def _workers(settings: Settings, place: Place) -> Iterator[Running]:
    log = settings.var / "log" / "serving.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:Forewarn"]
    where = ["--host", place.host, "--port", str(place.port), "--working-dir", str(ROOT)]
    leash = [sys.executable, "-m", "serving.leash", str(os.getpid())]
    with log.open("ab") as out:
        start = out.tell()
        process = subprocess.Popen(  # noqa: S603
            [*leash, *command, *where],
            cwd=ROOT,
            env=_environment(settings, place),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            # Ctrl-C at the terminal is ours to hear: the workers end first, then the stores
            start_new_session=True,
        )
    try:
        yield Running(place.url, settings, log, process, start)
    finally:
        with _deaf():
            _stop(process)


def _environment(settings: Settings, place: Place) -> Mapping[str, str]:
    var = settings.var.resolve()
    own = {
        "FOREWARN_VAR": str(var),
        "FOREWARN_DATABASE_URL": settings.database_url or "",
        "FOREWARN_VALKEY_URL": settings.valkey_url or "",
        "FOREWARN_PSEUDONYM_KEY": (settings.pseudonym_key or b"").hex(),
        "FOREWARN_PSEUDONYM_HASH": settings.pseudonym_hash,
        "FOREWARN_ZONE": settings.zone,
        "FOREWARN_BUNDLE": str(settings.bundle.resolve()) if settings.bundle else "",
        "FOREWARN_DISTRICTS": str(settings.districts.resolve()) if settings.districts else "",
        "FOREWARN_RECEIVERS": str(settings.receivers.resolve()) if settings.receivers else "",
        "FOREWARN_PUBLIC_URL": settings.public_url or "",
        "FOREWARN_NOTICE": settings.notice,
        "FOREWARN_WORKERS": str(place.workers),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(var / "bentoml"),
        "OMP_NUM_THREADS": "1",
    }
    return {**os.environ, **own}


def _wait_ready(service: Running, place: Place) -> None:
    deadline = time.monotonic() + READY_S
    parts: Mapping[str, Any] = {}
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            raise _not_ready(service, f"it ended with code {service.process.returncode}")
        if _FAILED in service.said():
            raise _not_ready(service, "a worker that cannot start")
        parts = _readiness(f"{place.url}/v1/ready")
        if parts.get("ready"):
            return
        time.sleep(0.1)
    raise _not_ready(service, f"after {READY_S:.0f} s: {parts.get('parts', 'no answer')}")


def _readiness(url: str) -> Mapping[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            found: Mapping[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return _parsed(error.read())
    except (OSError, ValueError):
        return {}
    return found


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _not_ready(service: Running, found: str) -> ServerError:
    lines = service.said().splitlines()[-15:]
    return ServerError(
        f"expected the service to be ready, found: {found}; its log {service.log} ends with:\n"
        + "\n".join(lines)
    )


@contextmanager
def _deaf() -> Iterator[None]:
    """Let a second Ctrl-C not interrupt the stopping itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    family = _family(process.pid)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for left in psutil.wait_procs(family, timeout=2)[1]:
        left.kill()


def _family(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "_bentoml_impl.worker.service" in process.cmdline()
    except psutil.Error:
        return False


def _silent(_: str, __: float) -> None:
    return
