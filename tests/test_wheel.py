"""The wheel carries the four packages and the weights, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(out),
        ".",
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_packages_and_the_weights(wheel: Path) -> None:
    """Contract: the packages, the gates and their digest, the client; no tests, no demo."""
    names = zipfile.ZipFile(wheel).namelist()

    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"app", "detector", "gatewatch", "models"}
    assert {"models/weights/se_lite0.safetensors", "models/weights/se_lite0.sha256"} <= set(names)
    assert {"gatewatch/py.typed", "gatewatch/errors/base.py"} <= set(names)
    assert {"app/console/static/index.html", "app/console/static/js/main.js"} <= set(names)


def test_the_unpacked_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """Contract: the command line of the wheel answers, away from the checkout."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import app.cli, models, sys; from detector.embedder import Embedder; "
        "Embedder.load('se-lite0', 'cpu'); print(models.__file__); app.cli.cli(['version'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    where, version = done.stdout.split()
    assert Path(where).is_relative_to(tmp_path)
    assert wheel.name.startswith(f"gatewatch-{version}-")
