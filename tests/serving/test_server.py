"""What is checked before anything is started, and said so that it can be mended."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data.settings import Settings
from serving.server import Place, ServerError, require_free, running

ROOT = Path(__file__).resolve().parents[2]


def test_a_busy_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as BentoML listens
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        expected = f"port {port} to be free, found another program listening; .*another --port"
        with (
            pytest.raises(ServerError, match=expected),
            running(Settings(var=tmp_path), Place(port=port)),
        ):
            pass
    assert not list(tmp_path.iterdir())


def test_a_port_that_was_just_left_is_free(free_port: Callable[[], int]) -> None:
    place = Place(port=free_port())
    with (
        socket.create_server((place.host, place.port)) as server,
        socket.create_connection((place.host, place.port)),
    ):
        server.accept()[0].close()  # leaves the port in TIME_WAIT
    require_free(place)


@pytest.mark.parametrize("place", [Place(host="192.0.2.1"), Place(port=70_000)])
def test_an_address_that_is_not_ours_is_told(place: Place) -> None:
    with pytest.raises(ServerError, match=r"expected to listen on .*choose another --host or"):
        require_free(place)


@pytest.mark.parametrize("workers", ["two", "0", "-1", "1.5"])
def test_a_wrong_number_of_workers_is_named(workers: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import serving.service"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "FOREWARN_WORKERS": workers},
    )
    said = done.stderr.splitlines()[-1]
    assert done.returncode
    assert f"FOREWARN_WORKERS: expected a whole number of at least 1, found '{workers}'" in said
    assert "unset it" in said
