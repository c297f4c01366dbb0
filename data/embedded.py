"""Embedded servers shared by everyone who opens the same folder, stopped with the last of them.

Each user of a server holds a shared ``flock``; a warden process (see `data.warden`) holds the
server. So a server outlives the process that started it while others need it, and goes when the
last one does, also after ``kill -9``. Whoever finds a stale pid or socket cleans it up.
"""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["Server", "StoreError", "Tenant", "own_folder", "short_folder", "use"]

START_S = 60.0
STOP_S = 30.0
RETRIES = 10
SOCKET_BYTES = 103  # sun_path holds 104 on macOS, 108 on Linux, with the closing zero
WARDEN = Path(__file__).with_name("warden.py")


class StoreError(RuntimeError):
    """An embedded store cannot run; the message says what was expected, found and the fix."""


@dataclass(frozen=True)
class Tenant:
    """The account a server runs under, where it refuses to run as root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Server:
    """What there is to know of one embedded server.

    Parameters
    ----------
    name
        For messages.
    home
        Folder of locks, log and data.
    command
        Program and arguments; it must stay in the foreground.
    tenant
        Account to run under; None for ours.
    stop
        Signal that ends it in good order.
    pids
        Files that hold its process id in the first line, and keep a second one from starting.
    answers
        Whether it serves requests now.
    prepare
        Makes its folders before a start.
    """

    name: str
    home: Path
    command: tuple[str, ...]
    tenant: Tenant | None
    stop: signal.Signals
    pids: tuple[Path, ...]
    answers: Callable[[], bool]
    prepare: Callable[[], None]

    @property
    def log(self) -> Path:
        """File with what the server said."""
        return self.home / "log"


@contextmanager
def use(server: Server) -> Iterator[None]:
    """Run a block with the server up; start it if nobody has, stop it if nobody is left.

    Raises
    ------
    StoreError
        If it does not come up within a minute.
    """
    with _opened(server.home / "users.lock") as users:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while a warden stops the server
        wardens: list[int] = []
        try:
            with _opened(server.home / "start.lock") as start:
                fcntl.flock(start, fcntl.LOCK_EX)
                if not server.answers():
                    _start(server, wardens)
            yield
        finally:
            options = 0 if _leave(server, users) else os.WNOHANG
            for warden in wardens:
                with suppress(ChildProcessError):
                    os.waitpid(warden, options)


def _opened(lock: Path) -> IO[str]:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a")
    except PermissionError as error:
        raise StoreError(
            f"expected to write in {lock.parent}, found that user {os.geteuid()} may not; run as "
            "the user who made it, or set FOREWARN_VAR to another folder"
        ) from error


def short_folder(home: Path, longest: str) -> Path:
    """Private folder for a socket called `longest`, near `home` if the path stays short enough."""
    near = home.resolve() / "run"
    if len(os.fsencode(near / longest)) <= SOCKET_BYTES:
        return near
    mark = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"forewarn-{os.geteuid()}-{mark}"


def own_folder(folder: Path, tenant: Tenant | None = None) -> None:
    """Make a folder that only the server's account may enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    uid = os.geteuid() if tenant is None else tenant.uid
    found = folder.lstat()
    if tenant is not None and found.st_uid == os.geteuid():
        os.chown(folder, tenant.uid, tenant.gid)
    elif found.st_uid != uid or folder.is_symlink():
        raise StoreError(
            f"expected {folder} to belong to user {uid}, found user {found.st_uid}; "
            "run as the user who made it, remove it, or set FOREWARN_VAR to another folder"
        )
    folder.chmod(0o700)


def _start(server: Server, wardens: list[int]) -> None:
    deadline = time.monotonic() + START_S
    for last in (*[False] * RETRIES, True):
        try:
            server.prepare()
        except StoreError as error:
            if last or not _may_pass(str(error)):
                raise
            continue
        _forget_stale(server, deadline)
        if server.answers() or _launch(server, wardens, deadline):
            return
        if time.monotonic() > deadline or not _may_pass(_tail(server)):
            break
        time.sleep(0.5)
    raise StoreError(
        f"expected the embedded {server.name} to answer within {START_S:.0f} s, found it silent; "
        f"its log {server.log} ends with:\n{_tail(server)}"
    )


def _may_pass(said: str) -> bool:
    """Whether a failure may be over at the next try.

    Orphans of a killed PostgreSQL need a moment to go; and whoever tidies up the folders above may
    shut out the server's account between our look and its start.
    """
    return "still in use" in said or "Permission denied" in said


def _launch(server: Server, wardens: list[int], deadline: float) -> bool:
    """Start a warden with the server; False when it died before it answered."""
    alive, held = os.pipe()
    try:
        wardens.append(_spawn(json.dumps(_order(server)), held))
    finally:
        os.close(held)
    try:
        os.set_blocking(alive, False)
        while time.monotonic() < deadline:
            if server.answers():
                return True
            if _ended(alive):
                return False
            time.sleep(0.02)
        return False
    finally:
        os.close(alive)


def _spawn(order: str, held: int) -> int:
    # its standard output is open for as long as the warden lives: the end of file tells
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, held, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    command = [sys.executable, "-I", "-S", str(WARDEN), order]
    return os.posix_spawn(command[0], command, os.environ, file_actions=files)


def _order(server: Server) -> dict[str, object]:
    return {
        "lock": str(server.home / "users.lock"),
        "log": str(server.log),
        "folder": str(server.home),
        "command": server.command,
        "user": server.tenant and server.tenant.uid,
        "group": server.tenant and server.tenant.gid,
        "signal": int(server.stop),
    }


def _ended(pipe: int) -> bool:
    try:
        return os.read(pipe, 1) == b""
    except BlockingIOError:
        return False


def _leave(server: Server, users: IO[str]) -> bool:
    """Stop the server if we are its last user; whether we were."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # others still use it, or its warden saw us go and is stopping it: wait for that
        fcntl.flock(users, fcntl.LOCK_SH)
        return False
    _stop(server)
    fcntl.flock(users, fcntl.LOCK_UN)
    return True


def _stop(server: Server) -> None:
    pid = _pid(server.pids[0])
    if pid is None or not _runs(pid, server):
        return
    os.kill(pid, server.stop)
    deadline = time.monotonic() + STOP_S
    while _runs(pid, server):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.01)


def _forget_stale(server: Server, deadline: float) -> None:
    """Wait for a server that is coming or going; drop the pid files of one that is gone."""
    for file in server.pids:
        while (pid := _pid(file)) is not None and _runs(pid, server):
            if server.answers() or time.monotonic() > deadline:
                return
            time.sleep(0.05)
        file.unlink(missing_ok=True)


def _pid(file: Path) -> int | None:
    try:
        return int(file.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _runs(pid: int, server: Server) -> bool:
    """Whether that process is the server, and not another that got its number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(server.command[0]).name in _command_line(pid)


def _command_line(pid: int) -> str:
    listing = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self").exists():
        try:
            return listing.read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""
    shown = ["ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(shown, check=False, capture_output=True, text=True).stdout  # noqa: S603


def _tail(server: Server) -> str:
    try:
        return "\n".join(server.log.read_text(errors="replace").splitlines()[-12:])
    except FileNotFoundError:
        return "(no log)"
