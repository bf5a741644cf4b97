"""What is written is run: the README's lines, and the examples."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import DEMO, ROOT, SOON

import sharelet

PYTHON = ROOT / "python"


def run(*arguments):
    environment = {**os.environ, "PYTHONWARNINGS": "error::UserWarning:sharelet"}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=5 * SOON,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_private_answer_takes_five_lines():
    pages = [ROOT / "README.md", PYTHON / "README.md", ROOT / "docs" / "python.md"]
    first = [re.search(r"```python\n(.*?)```", page.read_text(), re.S)[1] for page in pages]
    assert first[0] == first[1] == first[2]
    assert len(first[0].splitlines()) == 5
    said = run("-c", first[0])
    calibration = np.load(DEMO / "calibration.npy")
    model = sharelet.import_model(DEMO / "vibration.onnx", calibration=calibration)
    assert said == f"{model.twin(calibration[0])}\n"


@pytest.mark.parametrize("example", sorted(path.name for path in (PYTHON / "examples").iterdir()))
def test_an_example_runs(example):
    for package in ("sklearn", "skl2onnx"):
        pytest.importorskip(package)
    said = run(pathlib.Path("python") / "examples" / example)
    assert "bit for bit" in said and "alike" in said, said
