"""Shared data and training: a private run on what Python shared, against the run in the clear."""

import subprocess

import numpy as np
import pytest
from conftest import DEMO, SOON

import sharelet

CONFIG = """
[data]
train = "study"
held_out = 0.25

[model]
kind = "logistic-regression"

[training]
epochs = 2
batch = 50
learning_rate = 0.5

[arithmetic]
truncation = "exact"

[open]
loss = true
accuracy = true
model = { to = "clinic-a" }
"""


def classes():
    lines = (DEMO / "classes.csv").read_text().splitlines()
    table = np.array([line.split(",") for line in lines[1:]], dtype=np.float64)
    assert lines[0].endswith(",label")
    return table[:, :-1], table[:, -1]


@pytest.fixture
def servers(program):
    """Two servers that collect, and an owner whom both know."""
    for role, name in (
        ("dealer", "deal-1"),
        ("server-0", "site-a"),
        ("server-1", "site-b"),
        ("owner", "clinic-a"),
    ):
        program.run("keygen", role, name)
    pairs = ("clinic-a site-a", "clinic-a site-b", "site-a site-b", "site-b deal-1")
    for one, other in map(str.split, pairs):
        program.run("pair", f"{one}.id", f"{other}.id")
    program.run("provision", "trainer-0", "--role", "server-0", "--state", "dealer-state")
    program.collecting = tuple(
        program.serve(
            *("collect", "--party", party, "--id", f"site-{'ab'[party]}.id"),
            *("--state", f"server-{party}"),
        )
        for party in (0, 1)
    )
    return program


def share(servers, data, **options):
    return sharelet.share(
        data,
        to=servers.collecting,
        owner="clinic-a",
        id=servers.folder / "clinic-a.id",
        **{"dataset": "study", "allow": ["loss", "accuracy", "model=clinic-a"], **options},
    )


def train(servers):
    """The private run: its curve's file, and its model."""
    (servers.folder / "config.toml").write_text(CONFIG)
    dealer = servers.serve("dealer", "--id", "deal-1.id", "--state", "dealer-state")
    # It says where it listens once the other one may come.
    peer = servers.serve(
        *("train", "config.toml", "--party", 1, "--id", "site-b.id", "--state", "server-1"),
        *("--dealer", dealer),
    )
    servers.run(
        *("train", "config.toml", "--party", 0, "--id", "site-a.id", "--state", "server-0"),
        *("--key", "trainer-0.key", "--peer", peer, "--curve", "curve.csv"),
    )
    shares = (f"server-{party}/training-config/model.share" for party in (0, 1))
    servers.run("open", *shares, "--owner", "clinic-a", "-o", "model.onnx")
    return servers.folder / "curve.csv", servers.folder / "model.onnx"


def columns(path):
    lines = [line.split(",") for line in path.read_text().splitlines()]
    return {name: np.array(values, dtype=np.float64) for name, *values in zip(*lines, strict=False)}


def test_a_private_run_on_an_array_is_the_run_in_the_clear(servers):
    """What was shared, what was trained and what is opened are the same, bit for bit."""
    x, y = classes()
    shared = share(servers, x, labels=y, binary=True, standardise=True)
    assert (shared.rows, shared.columns, shared.outcome) == (400, 8, "sent")
    assert servers.stop() == [0, 0]
    plain = sharelet.train_plain(CONFIG, x, labels=y, binary=True, standardise=True)
    curve, model = train(servers)
    private = columns(curve)
    assert plain.curve.keys() == private.keys()
    for name, values in plain.curve.items():
        assert np.array_equal(values, private[name]), name
    assert plain.onnx == model.read_bytes()
    # At most 93.3 % are possible for anybody.
    assert 0.85 < plain.accuracy <= 1.0
    assert abs(plain.accuracy - plain.float_curve["test_accuracy"][-1]) <= 0.03


def test_a_dataframe_is_shared_as_its_file_is(servers):
    """What two servers train on it is what is trained on the file in the clear."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(DEMO / "classes.csv")
    frame["label"] = frame["label"].astype(bool)
    shared = share(servers, frame, label="label", binary=True)
    assert (shared.rows, shared.columns, shared.outcome) == (400, 8, "sent")
    # The same upload again is the one that they have.
    again = share(servers, frame, label="label", binary=True, upload_id=shared.upload_id)
    assert (again.upload_id, again.outcome) == (shared.upload_id, "already registered")
    servers.stop()
    _, by_python = train(servers)
    model = by_python.read_bytes()
    plain = sharelet.train_plain(CONFIG, DEMO / "classes.csv", label="label", binary=True)
    assert plain.onnx == model
    assert plain.columns == [f"x{index}" for index in range(8)]


def test_what_is_not_shared(servers):
    x, y = classes()
    for data, options, says in [
        (x, {}, "which column is the label"),
        (x, {"labels": y, "no_label": True}, "which column is the label"),
        (x, {"labels": y[:-1]}, "labels.npy.*399|399"),
        (x, {"labels": y * 2, "binary": True}, "labels.npy"),
        (x, {"labels": y, "binary": True, "classes": 2}, "binary or of classes"),
        (x, {"labels": y, "classes": 1}, "classes: 1"),
        (x, {"labels": y, "label": "c0"}, "not both"),
        (x, {"label": "c9"}, "c9"),
        (x, {"binary": True}, "there are none"),
        (x, {"labels": y, "scale": 0}, "scale|0"),
        (x, {"labels": y, "frac_bits": 29}, "frac_bits: 29"),
        (x, {"labels": y, "allow": ["everything"]}, "everything"),
        (x, {"labels": y, "dataset": "a name"}, "dataset `a name`"),
        (x, {"labels": y, "upload_id": "12"}, "upload_id `12`"),
        (x, {"labels": y, "key": "c0"}, "key"),
        (np.where(x > 2, np.nan, x), {"labels": y}, "data.npy"),
        (x.astype(str), {"labels": y}, "type <U"),
        ("nowhere.csv", {"label": "y"}, "nowhere.csv"),
    ]:
        with pytest.raises(sharelet.InputError, match=says):
            share(servers, data, **options)
    with pytest.raises(sharelet.InputError, match="two servers"):
        sharelet.share(x, labels=y, to="s0:1", dataset="d", owner="o", id="clinic-a.id")
    with pytest.raises(sharelet.InputError, match="two different"):
        sharelet.share(x, labels=y, to=("s0:1", "s0:1"), dataset="d", owner="o", id="clinic-a.id")
    # A server that is gone, and an owner whom the other one does not know.
    servers.stop()
    with pytest.raises(sharelet.Error) as raised:
        share(servers, x, labels=y)
    assert not isinstance(raised.value, ValueError)


def test_a_model_trained_in_the_clear_is_imported_and_as_good_as_it_says(tmp_path):
    x, y = classes()
    config = CONFIG.replace("held_out = 0.25", 'test = "other"')
    trained = sharelet.train_plain(
        config,
        x[:300],
        labels=y[:300],
        test=x[300:],
        test_labels=y[300:],
        binary=True,
        standardise=True,
    )
    assert trained.curve["epoch"].tolist() == [1.0, 2.0]
    assert trained.curve["train_loss"][1] < trained.curve["train_loss"][0]
    assert 0 < trained.loss < np.log(2)
    trained.save(tmp_path / "model.onnx")
    with pytest.raises(sharelet.InputError, match="exists already"):
        trained.save(tmp_path / "model.onnx")
    model = sharelet.import_model(tmp_path / "model.onnx", calibration=x)
    right = np.mean((model.twin(x[300:])[:, 0] > 0) == y[300:])
    # A row on the very edge may fall on either side.
    assert abs(right - trained.accuracy) < 0.011, (right, trained.accuracy)


def test_a_regression_has_no_accuracy():
    config = CONFIG.replace("logistic", "linear").replace("accuracy = true\n", "")
    trained = sharelet.train_plain(config, DEMO / "numbers.csv", label="value")
    assert trained.accuracy is None and trained.loss < 0.1


def test_what_is_not_trained(tmp_path):
    x, y = classes()
    for config, options, says in [
        ("[data]\n", {"labels": y}, "config"),
        (CONFIG.replace("0.5", '"fast"'), {"labels": y, "binary": True}, "learning_rate"),
        (CONFIG.replace("0.5", "1e9"), {"labels": y, "binary": True}, "learning_rate|diverge"),
        (CONFIG, {"labels": y}, "labels 0 and 1|binary"),
        (CONFIG, {}, "no labels"),
        (CONFIG, {"labels": y, "test_labels": y}, "test_labels belong"),
        (CONFIG, {"labels": y, "columns": "c0"}, "columns: give a list"),
        (tmp_path / "nowhere.toml", {"labels": y}, "nowhere.toml"),
    ]:
        with pytest.raises(sharelet.InputError, match=says):
            sharelet.train_plain(config, x, **options)


def test_the_program_is_there(program):
    said = program.run("--version")
    assert said == f"sharelet {sharelet.__version__}\n"
    done = subprocess.run(program.command("twin"), capture_output=True, text=True, timeout=SOON)
    assert done.returncode == 2 and "Usage" in done.stderr
