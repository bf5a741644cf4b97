"""Private answers: on loopback within the process, and at services of the program."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pytest
from conftest import DEMO, SOON

import sharelet


def test_private_answers_are_the_twins(vibration, windows):
    with sharelet.loopback(vibration) as device:
        for rows in (windows, windows[0], windows[:1], windows[5:9]):
            assert np.array_equal(device.infer(rows), vibration.twin(rows))
        key = device._files[1]
        assert key.exists()
        with pytest.raises(sharelet.InputError, match="26 values, the model takes 27"):
            device.infer(windows[:, :26])
    # Keys and states are gone, and so is the host.
    assert not key.parent.exists()
    with pytest.raises(sharelet.Error):
        device.infer(windows)


def test_a_reading_beyond_the_models_range_has_no_answer(vibration, windows):
    rows = windows.copy()
    rows[4] *= 1e6
    with sharelet.loopback(vibration) as device:
        with pytest.raises(sharelet.InputError, match="reading 4: .*it has no answer"):
            device.infer(rows)
        rows[7] *= 1e6
        with pytest.raises(sharelet.InputError, match="reading 4: .* 1 more"):
            device.infer(rows)
        # The device goes on.
        assert np.array_equal(device.infer(windows), vibration.twin(windows))


def test_a_larger_network(data):
    folder = data / "mlperf-tiny"
    windows = np.load(folder / "ad01_windows.npy")
    model = sharelet.import_model(folder / "ad01.onnx", calibration=windows)
    with sharelet.loopback(model) as device:
        assert np.array_equal(device.infer(windows[:40]), model.twin(windows[:40]))


def test_two_rooms_at_once_and_threads(vibration, windows):
    """Each has keys of its own; a device that is busy says so, and harms nobody."""
    expected = vibration.twin(windows)
    with sharelet.loopback(vibration) as one, sharelet.loopback(vibration) as other:
        answers = {}

        def ask(name, device):
            answers[name] = device.infer(windows)

        threads = [threading.Thread(target=ask, args=pair) for pair in (("a", one), ("b", other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)
        assert all(np.array_equal(answers[name], expected) for name in "ab")


def test_the_interpreter_goes_on_while_a_device_waits(vibration, windows):
    """The lock is free: another thread counts meanwhile."""
    counted, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1
            time.sleep(0.001)

    with sharelet.loopback(vibration) as device:
        thread = threading.Thread(target=count)
        thread.start()
        begin, before = time.monotonic(), counted[0]
        device.infer(np.tile(windows, (20, 1)))
        took, ticks = time.monotonic() - begin, counted[0] - before
        done.set()
        thread.join(SOON)
    # A hundredth of what there is time for is more than there would be with the lock held.
    assert ticks > took * 1000 / 100, (ticks, took)


@pytest.fixture
def room(program, vibration):
    """A dealer and a host of the program, and a device that is paired with the host."""
    vibration.save(program.folder / "model.slt")
    program.run("keygen", "dealer", "deal-1")
    program.run("keygen", "host", "hall-2")
    program.run("pair", "deal-1.id", "hall-2.id")
    program.run("provision", "pump", "--state", "dealer-state", "--peer", "hall-2.id")
    dealer = program.serve("dealer", "--id", "deal-1.id", "--state", "dealer-state")
    services = ("--id", "hall-2.id", "--state", "host-state", "--dealer", dealer)
    program.host = program.serve("host", "model.slt", *services)
    return program


def files(room):
    return room.folder / "pump.id", room.folder / "pump.key"


def test_a_device_meets_a_host(room, vibration, windows):
    device = sharelet.Device(room.host, *files(room))
    for rows in (windows[:3], windows[3:], windows[0]):
        assert np.array_equal(device.infer(rows), vibration.twin(rows))
    # The same device as a program goes on with the numbers that are left.
    said = room.run(
        *("device", "--id", "pump.id", "--key", "pump.key", "--host", room.host),
        *("--inputs", DEMO / "windows.npy", "--raw"),
    )
    words = [line.split("values=")[1].split(" ")[0].split(",") for line in said.splitlines()]
    expected = vibration.twin(windows) * 2.0**vibration.frac_bits
    assert np.array_equal(np.array(words, dtype=np.float64), expected)
    assert np.array_equal(device.infer(windows), vibration.twin(windows))
    assert room.stop() == [0, 0]
    impatient = sharelet.Device(room.host, *files(room), retries=0)
    with pytest.raises(sharelet.Error, match="refused|connect"):
        impatient.infer(windows)


def test_what_a_device_is_told(room, windows, tmp_path):
    identity, key = files(room)
    device = sharelet.Device(room.host, identity, key, retries=0)
    with pytest.raises(sharelet.InputError, match="takes 27 values, the reading has 26"):
        device.infer(windows[:, :26])
    with pytest.raises(sharelet.InputError, match="nowhere.id"):
        sharelet.Device(room.host, tmp_path / "nowhere.id", key).infer(windows)
    with pytest.raises(sharelet.InputError, match="host hall-2.*needs one of a device"):
        sharelet.Device(room.host, room.folder / "hall-2.id", key).infer(windows)
    with pytest.raises(sharelet.InputError, match="nowhere.counter|no counter"):
        sharelet.Device(room.host, identity, key, tmp_path / "nowhere.counter").infer(windows)
    with pytest.raises(sharelet.InputError, match="host: give HOST:PORT"):
        sharelet.Device("no such host", identity, key).infer(windows)
    with pytest.raises(sharelet.Error, match="nowhere.invalid"):
        sharelet.Device("nowhere.invalid:1", identity, key, retries=0).infer(windows)
    with pytest.raises(sharelet.InputError, match="timeout"):
        sharelet.Device(room.host, identity, key, timeout=0)
    with pytest.raises(sharelet.InputError, match="retries"):
        sharelet.Device(room.host, identity, key, retries=-1)


STUCK = """
import pathlib, sys, time
import numpy as np
import sharelet
folder = pathlib.Path(sys.argv[1])
device = sharelet.Device(sys.argv[2], folder / "pump.id", folder / "pump.key", retries=10**6)
print("waiting", flush=True)
begin = time.monotonic()
try:
    device.infer(np.zeros((1, 27)))
except KeyboardInterrupt:
    print(f"interrupted after {time.monotonic() - begin}", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="there are no signals of this kind")
def test_ctrl_c_ends_a_wait(room):
    """A device that tries again and again to reach a host that is gone."""
    assert room.stop() == [0, 0]
    command = [sys.executable, "-c", STUCK, str(room.folder), room.host]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "waiting\n"
        time.sleep(1.0)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=10)
        assert said.startswith("interrupted after "), said
        assert process.returncode == 0
    finally:
        process.kill()


def test_nothing_is_left_in_the_temporary_folder(vibration, windows):
    def rooms():
        return set(pathlib.Path(tempfile.gettempdir()).glob("sharelet-*"))

    before = rooms()
    with pytest.raises(RuntimeError, match="of the block"):
        with sharelet.loopback(vibration) as device:
            device.infer(windows[0])
            assert len(rooms() - before) >= 1
            raise RuntimeError("of the block")
    assert rooms() <= before
