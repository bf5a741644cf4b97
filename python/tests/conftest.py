"""What several tests need: the built-in model, the reference data, and the program."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import sharelet

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"
SOON = 60


@pytest.fixture(scope="session")
def windows():
    return np.load(DEMO / "windows.npy")


@pytest.fixture(scope="session")
def calibration():
    return np.load(DEMO / "calibration.npy")


@pytest.fixture(scope="session")
def vibration(calibration):
    labels = ["idle", "normal", "imbalance", "bearing-fault"]
    return sharelet.import_model(DEMO / "vibration.onnx", calibration, labels=labels)


@pytest.fixture(scope="session")
def data():
    """The reference networks and inputs."""
    folder = pathlib.Path(os.environ.get("SHARELET_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "mlperf-tiny").is_dir():
        pytest.skip(f"the reference networks are not in {folder}; SHARELET_DATA says where")
    return folder


class Program:
    """The program that the wheel brings, in a folder of its own."""

    def __init__(self, folder):
        self.folder, self.started = folder, []

    def command(self, *arguments):
        return [sys.executable, "-m", "sharelet", *map(str, arguments)]

    def run(self, *arguments):
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, capture_output=True, text=True, timeout=SOON
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def serve(self, *arguments):
        """Starts a service; where it listens."""
        server = self.start(*arguments, "--listen", "127.0.0.1:0")
        said = server.stdout.readline()
        found = re.fullmatch(r"listening on (\S+)\n", said)
        assert found, (arguments, said, server.poll())
        return found[1]

    def start(self, *arguments):
        process = subprocess.Popen(
            self.command(*arguments), cwd=self.folder, stdout=subprocess.PIPE, text=True
        )
        self.started.append(process)
        return process

    def stop(self):
        """Ends what was started, the last first; each of them says that it ended well."""
        codes = []
        for process in reversed(self.started):
            process.terminate()
            codes.append(process.wait(SOON))
            process.stdout.close()
        self.started.clear()
        return codes


@pytest.fixture
def program(tmp_path):
    program = Program(tmp_path)
    yield program
    program.stop()
