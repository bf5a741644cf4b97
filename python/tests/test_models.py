"""Import, model files, and answers in the clear."""

import re
import warnings

import numpy as np
import pytest
from conftest import DEMO

import sharelet

onnx = pytest.importorskip("onnx")
# Real networks have their warnings.
pytestmark = pytest.mark.filterwarnings("ignore:.*calibration ones:UserWarning")


def tiny(weights, biases):
    """A dense layer, a ReLU, a dense layer, as an `onnx.ModelProto`."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    names = ["w0", "b0", "w1", "b1"]
    arrays = [weights[0], biases[0], weights[1], biases[1]]
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w1", "b1"], ["y"], transB=1),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "tiny",
        [value("x", onnx.TensorProto.FLOAT, ["rows", weights[0].shape[1]])],
        [value("y", onnx.TensorProto.FLOAT, ["rows", weights[1].shape[0]])],
        [numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=False)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def random_network(seed):
    rng = np.random.default_rng(seed)
    shapes = [(6, 5), (3, 6)]
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    biases = [rng.normal(size=shape[0]).astype(np.float32) for shape in shapes]
    x = rng.uniform(-1, 1, size=(200, 5)).astype(np.float32)
    y = np.maximum(x @ weights[0].T + biases[0], 0) @ weights[1].T + biases[1]
    return tiny(weights, biases), x, y


@pytest.mark.parametrize("seed", range(4))
def test_a_proto_is_imported_and_answers_within_its_stated_error(seed, tmp_path):
    print("seed", seed)
    proto, x, y = random_network(seed)
    model = sharelet.import_model(proto, calibration=x, name="tiny")
    assert (model.name, model.inputs, model.outputs) == ("tiny", 5, 3)
    answers = model.twin(x)
    assert answers.dtype == np.float64 and answers.shape == (200, 3)
    # All calibration readings were asked: what the import says is what they show.
    errors = np.abs(answers - y)
    assert np.isclose(errors.max(), model.largest_error, rtol=1e-3, atol=1e-6)
    assert 0 < model.error < 0.01
    relative = np.sqrt(np.mean(errors**2) / np.mean(y**2))
    assert np.isclose(relative, model.error, rtol=0.02), (relative, model.error)
    assert "layer" in model.report
    # Answers are whole multiples of their unit.
    words = answers * 2.0**model.frac_bits
    assert np.array_equal(words, np.round(words))
    # A file, its bytes and what onnx reads of it are the same network.
    path = tmp_path / "tiny.onnx"
    onnx.save(proto, path)
    for source in (path, str(path), path.read_bytes(), onnx.load(path)):
        again = sharelet.import_model(source, calibration=x)
        assert np.array_equal(again.twin(x), answers)


def test_the_twin_is_the_programs(vibration, windows, program):
    """`sharelet import` and `twin` on the same files."""
    program.run(
        "import", DEMO / "vibration.onnx", "--calibrate", DEMO / "calibration.npy", "-o", "m.slt"
    )
    lines = program.run("twin", "m.slt", "--inputs", DEMO / "windows.npy", "--raw").splitlines()
    words = [re.search(r"values=(\S+)", line)[1].split(",") for line in lines]
    expected = np.array(words, dtype=np.float64) / 2.0**vibration.frac_bits
    assert np.array_equal(vibration.twin(windows), expected)
    assert np.array_equal(sharelet.load(program.folder / "m.slt").twin(windows), expected)
    # Files are equal, too, but for the labels, which only this one has.
    plain = sharelet.import_model(DEMO / "vibration.onnx", np.load(DEMO / "calibration.npy"))
    plain.save(program.folder / "python.slt")
    files = [(program.folder / name).read_bytes() for name in ("m.slt", "python.slt")]
    assert files[0] == files[1]


def test_shapes_of_readings(vibration, windows):
    answers = vibration.twin(windows)
    assert answers.shape == (12, 4)
    assert np.array_equal(vibration.twin(windows[3]), answers[3])
    assert np.array_equal(vibration.twin(windows.reshape(12, 3, 9)), answers)
    assert np.array_equal(vibration.twin(windows[3].reshape(3, 9)), answers[3])
    assert np.array_equal(vibration.twin(windows[:1]), answers[:1])
    assert np.array_equal(vibration.twin(windows.tolist()), answers)
    assert np.array_equal(vibration.twin(np.asfortranarray(windows)), answers)
    assert np.array_equal(vibration.twin(windows.astype(">f8")), answers)
    assert vibration.labels[answers[0].argmax()] == "idle"


def test_bytes_are_divided_by_255(vibration):
    pixels = np.arange(27, dtype=np.uint8)
    assert np.array_equal(vibration.twin(pixels), vibration.twin(pixels / np.float32(255)))


def test_a_network_that_is_used_elsewhere(data):
    """`ad01` of MLPerf Tiny against the float interpreter's answers."""
    folder = data / "mlperf-tiny"
    windows, expected = np.load(folder / "ad01_windows.npy"), np.load(folder / "ad01_outputs.npy")
    for name in ("ad01.onnx", "ad01_fp32.tflite"):
        model = sharelet.import_model(folder / name, calibration=windows)
        errors = model.twin(windows) - expected
        assert np.abs(errors).max() <= model.largest_error * 1.001
        relative = np.sqrt(np.mean(errors**2) / np.mean(expected.astype(np.float64) ** 2))
        assert np.isclose(relative, model.error, rtol=0.02) and relative < 0.01, model.report


def test_a_network_for_images(data):
    """Network A of the literature on the first test images, beside float."""
    idx = __import__("gzip").open(data / "mnist" / "test-images-idx3-ubyte.gz").read()
    images = np.frombuffer(idx, np.uint8, offset=16).reshape(-1, 28, 28)
    logits = np.load(data / "networks" / "network_a_test_logits.npy")
    model = sharelet.import_model(data / "networks" / "network_a.onnx", calibration=images[:200])
    answers = model.twin(images[:200])
    assert np.array_equal(answers.argmax(1), logits[:200].argmax(1))
    assert np.abs(answers - logits[:200]).max() <= model.largest_error * 1.001


def test_model_files(vibration, windows, tmp_path):
    path = tmp_path / "model.slt"
    vibration.save(path)
    again = sharelet.load(str(path))
    assert np.array_equal(again.twin(windows), vibration.twin(windows))
    assert (again.labels, again.report, again.error) == (vibration.labels, None, None)
    with pytest.raises(sharelet.InputError, match="exists already.*force=True"):
        vibration.save(path)
    vibration.save(path, force=True)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(sharelet.InputError, match="model.slt"):
        sharelet.load(path)
    with pytest.raises(sharelet.InputError, match="nowhere.slt"):
        sharelet.load(tmp_path / "nowhere.slt")
    with pytest.raises(sharelet.Error, match="nowhere"):
        vibration.save(tmp_path / "nowhere" / "model.slt")


@pytest.mark.parametrize(
    "wrong, says",
    [
        (lambda x: x[:, :26], "26 values, the model takes 27"),
        (lambda x: x[0, :26], "26 values, the model takes 27"),
        (lambda x: x[:0], "no reading"),
        (lambda x: 3.0, "no reading"),
        (lambda x: x * 1e6, "reading 0: .*range"),
        (lambda x: np.where(np.arange(12)[:, None] == 5, np.nan, x), "reading 5, value 0"),
        (lambda x: x + np.where(np.arange(27) == 4, 1e300, 0), "reading 0, value 4"),
        (lambda x: x.astype(str), "type <U.* where numbers"),
        (lambda x: x.astype(object), "type object where numbers"),
        (lambda x: x.astype(complex), "type complex128"),
        (lambda x: None, "where numbers"),
    ],
)
def test_readings_that_are_none(vibration, windows, wrong, says):
    with pytest.raises(ValueError, match=says) as raised:
        vibration.twin(wrong(windows))
    assert isinstance(raised.value, sharelet.InputError)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"calibration": np.zeros((4, 27))}, "zero"),
        ({"calibration": np.ones((4, 26))}, "26 values, the network takes 27"),
        ({"calibration": np.full((4, 27), np.inf)}, "reading 0, value 0"),
        ({"source": "nowhere.onnx"}, "nowhere.onnx"),
        ({"source": DEMO / "windows.npy"}, "unknown format; give an .onnx"),
        ({"source": b"no model at all"}, "the ONNX model: "),
        ({"output": "nothing"}, "named `nothing`"),
        ({"labels": ["idle", "normal"]}, "2 labels|labels"),
        ({"labels": "idle"}, "labels: give a list"),
        ({"max_error": 101}, "max_error: 101"),
        ({"gate_bits": 7}, "gate_bits: 7 is not from 8 to 32"),
        ({"headroom_bits": -1}, "headroom_bits: -1"),
        ({"frac_bits": 25}, "frac_bits: 25"),
    ],
)
def test_what_is_not_imported(calibration, options, says):
    options = {"source": DEMO / "vibration.onnx", "calibration": calibration, **options}
    with pytest.raises(sharelet.InputError, match=says):
        sharelet.import_model(**options)


def test_warnings_of_the_import_are_warnings():
    """A layer whose weights vanish beside a large one."""
    weights = [np.eye(4, dtype=np.float32), np.ones((2, 4), np.float32)]
    weights[0][1] *= 1e-9
    biases = [np.zeros(4, np.float32), np.zeros(2, np.float32)]
    x = np.random.default_rng(1).uniform(0, 1, (50, 4))
    with pytest.warns(UserWarning, match="weights of 1 output"):
        sharelet.import_model(tiny(weights, biases), calibration=x)
    weights[0][1] *= 1e9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sharelet.import_model(tiny(weights, biases), calibration=x)
