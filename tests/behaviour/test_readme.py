"""The README does what it says: its commands and examples are run, its tables are held complete."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from typer.main import get_command

import forewarn
from data.events import EVENT_TYPES
from data.settings import SETTINGS
from serving.openapi import document

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
FOREWARN = [sys.executable, str(ROOT / "forewarn.py")]
READY_S = 900  # a machine under load; idle it takes about a minute


def commands() -> list[str]:
    """Every command of the README, continued lines joined."""
    text = "\n".join(body for language, body in BLOCKS if language == "console")
    return [part.strip() for part in re.split(r"^\$ ", text, flags=re.MULTILINE) if part.strip()]


@dataclass
class Stage:
    """A demonstration that runs and stays."""

    url: str
    process: subprocess.Popen[str]
    said: str
    var: Path

    @property
    def key(self) -> str:
        """The key that it printed."""
        found = re.search(r"KEY=(\S+)", self.said)
        assert found
        return found.group(1)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """`forewarn demo`, small, until it has shown an alert and how to ask."""
    var = tmp_path_factory.mktemp("var")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = var / "said"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*FOREWARN, "demo", "--quick", "--port", str(port)],
            env={**os.environ, "FOREWARN_VAR": str(var), "COLUMNS": "100"},
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Stage(f"http://127.0.0.1:{port}", process, _until_it_stays(process, log), var)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _until_it_stays(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        said = log.read_text("utf-8")
        if "Ctrl-C stops everything" in said:
            return said
        if process.poll() is not None:
            break
        time.sleep(0.5)
    raise AssertionError(f"the demonstration did not come to its end:\n{log.read_text('utf-8')}")


def test_the_demonstration_shows_an_explained_alert(stage: Stage) -> None:
    assert "预警" in stage.said
    assert stage.url in stage.said
    assert "simulated city" in stage.said


def test_the_line_that_the_demonstration_prints_gives_an_explained_score(stage: Stage) -> None:
    line = next(line for line in stage.said.splitlines() if line.startswith("curl "))
    answer = json.loads(_curl(line))
    assert answer["score"] is not None
    assert answer["reasons"]


@pytest.mark.parametrize("position", range(len([c for c in commands() if c.startswith("curl")])))
def test_a_curl_example_answers(stage: Stage, position: int) -> None:
    example = [command for command in commands() if command.startswith("curl")][position]
    line = example.replace("http://127.0.0.1:3000", stage.url).replace("$KEY", stage.key)
    answer = json.loads(_curl(line))
    assert "title" not in answer, answer  # as a problem has
    if "decisions" in example:
        assert answer["recomputed"]["equal"]
    elif "score" in example:
        assert answer["reasons"]
    elif "hotspots" in example:
        assert answer["features"][0]["properties"]["expected"] > 0
    elif "patrol-plans" in example:
        assert answer["beats"]
    else:
        assert answer["accepted"] == 1
        assert not answer["refused"]


def test_the_python_example_runs(stage: Stage) -> None:
    example = next(body for language, body in BLOCKS if language == "python")
    code = example.replace("http://127.0.0.1:3000", stage.url)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KEY": stage.key},
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert float(done.stdout.split()[0]) <= 1


def test_what_the_demonstration_served_is_certified(stage: Stage) -> None:
    done = subprocess.run(
        [*FOREWARN, "certify"],
        env={**os.environ, "FOREWARN_VAR": str(stage.var / "demo")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["holds"]
    assert figures["decisions"] > 0


def test_ctrl_c_stops_every_process(stage: Stage) -> None:
    family = psutil.Process(stage.process.pid).children(recursive=True)
    assert len(family) >= 3
    stage.process.send_signal(signal.SIGINT)
    assert stage.process.wait(60) == 0
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    holders = [one for one in psutil.process_iter(["cmdline"]) if _uses(one, stage.var)]
    assert not holders


def _uses(process: psutil.Process, var: Path) -> bool:
    return any(str(var) in part for part in process.info["cmdline"] or ())


def _curl(line: str) -> str:
    done = subprocess.run(shlex.split(line), check=True, capture_output=True, text=True)
    return done.stdout


def test_every_command_of_the_readme_exists() -> None:
    root = get_command(forewarn.app)
    for line in commands():
        words = shlex.split(line)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
        elif words[0] == "forewarn":
            _check_command(root, words[1:])
        else:
            assert words[0] == "curl", line


def _check_command(command: object, words: list[str]) -> None:
    while hasattr(command, "commands"):
        assert words, "a command, not a group"
        assert words[0] in command.commands, words
        command, words = command.commands[words[0]], words[1:]
    known = {name for option in command.params for name in option.opts}  # type: ignore[attr-defined]
    assert {word for word in words if word.startswith("--")} <= known


def test_every_command_is_in_the_readme() -> None:
    root = get_command(forewarn.app)
    for name in root.commands:  # type: ignore[attr-defined]
        assert f"forewarn {name}" in README, name


def test_every_setting_is_in_the_readme() -> None:
    for setting in SETTINGS:
        assert f"| `{setting.name}` | {setting.default} | {setting.sentence} |" in README


def test_every_kind_of_event_is_in_the_readme() -> None:
    for kind in EVENT_TYPES:
        assert f"| `{kind}` |" in README


def test_every_endpoint_is_in_the_readme() -> None:
    for path in document()["paths"]:
        assert path.partition("{")[0].rstrip("/") in README, path


def test_what_a_link_of_the_readme_points_to_is_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
