"""The service ships as a Bento: what serving needs is in it, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bentoml")
    environment = {
        **os.environ,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "bentoml", "build", "--version", "test", str(ROOT)]
    subprocess.run(command, env=environment, check=True, capture_output=True, cwd=ROOT)
    return home / "bentos" / "forewarn" / "test" / "src"


def test_a_bento_holds_what_serving_needs_and_nothing_else(bento: Path) -> None:
    folders = {path.name for path in bento.iterdir() if path.is_dir()}
    assert folders == {"data", "features", "models", "serving"}
    assert (bento / "features" / "store.lua").is_file()
    assert (bento / "data" / "migrations" / "env.py").is_file()
    assert (bento / "serving" / "guides" / "officers.zh.md").is_file()
    assert (bento / "serving" / "guides" / "pictures" / "work-zh.png").is_file()
    assert not list(bento.rglob("simulator"))
    requirements = (bento.parent / "env" / "python" / "requirements.txt").read_text()
    assert "bentoml==1.4.39" in requirements
    assert "mlflow" not in requirements


def test_its_service_imports_by_itself(bento: Path) -> None:
    probe = (
        "import serving.service, sys; assert 'numba' not in sys.modules; print(serving.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, '.'); {probe}"],
        cwd=bento,
        check=True,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    assert Path(done.stdout.strip()).is_relative_to(bento.resolve())
