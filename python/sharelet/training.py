"""Data for two servers, and training in the clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _sharelet
from .arrays import path, table, whole
from .errors import InputError
from .models import File

#: By column: `epoch`, `train_loss`, `train_accuracy`, `test_loss`, `test_accuracy`.
Curve = dict[str, npt.NDArray[np.float64]]

_COLUMNS = ("epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


def _choice(
    columns: Sequence[str] | None,
    label: str | Sequence[str] | None,
    labels: Any,
    classes: int | None,
    binary: bool,
    scale: float | None,
    label_scale: float,
    standardise: bool | None,
    key: str | None = None,
) -> dict[str, Any]:
    """What is taken from a table."""
    label = [label] if isinstance(label, str) else list(label or ())
    if isinstance(columns, str):
        raise InputError("columns: give a list of names")
    if label and labels is not None:
        raise InputError("labels are either a column, with label, or given with labels; not both")
    kinds = classes is not None or binary
    if kinds and not label and labels is None:
        raise InputError("classes and binary say what labels are, and there are none; add label")
    if kinds and label_scale != 1.0:
        raise InputError("label_scale is for labels that are numbers, not for classes or binary")
    return {
        "columns": None if columns is None else list(columns),
        "label": label,
        "classes": None if classes is None else whole("classes", classes, 2, 10_000),
        "binary": bool(binary),
        "scale": None if scale is None else float(scale),
        "label_scale": float(label_scale),
        "standardise": standardise,
        "key": key,
    }


def _labels(labels: Any, name: str = "labels") -> Any:
    return None if labels is None else table(labels, name)


class Shared(NamedTuple):
    """What two servers have."""

    #: Names the upload; ends it if it was cut off between the two.
    upload_id: str
    rows: int
    columns: int
    #: `sent`, or `completed` or `already registered` if an earlier attempt had sent it.
    outcome: str


def share(
    data: Any,
    *,
    to: tuple[str, str],
    dataset: str,
    owner: str,
    id: File,
    label: str | Sequence[str] | None = None,
    labels: Any = None,
    no_label: bool = False,
    columns: Sequence[str] | None = None,
    classes: int | None = None,
    binary: bool = False,
    scale: float | None = None,
    label_scale: float = 1.0,
    standardise: bool | None = None,
    key: str | None = None,
    key_secret: File | None = None,
    frac_bits: int = 20,
    allow: Sequence[str] = (),
    least_rows: int = 10,
    upload_id: str | None = None,
) -> Shared:
    """Gives two servers shares of data: neither learns a value of it.

    `data` is a DataFrame, an array (its columns are `c0`, `c1`, ...), or a file. `labels` are an
    array beside it; `label` names a column. `id` is the owner's identity, paired with both servers.
    The rest are the options of `sharelet share`; DataFrames are standardised if nothing is said,
    arrays are not.
    """
    if isinstance(allow, str):
        allow = [allow]
    if isinstance(to, str) or len(to) != 2:
        raise InputError('to: give the addresses of two servers, ("s0:7200", "s1:7201")')
    recipients = {
        "to": list(to),
        "dataset": dataset,
        "owner": owner,
        "id": path(id),
        "key_secret": None if key_secret is None else path(key_secret),
        "frac_bits": whole("frac_bits", frac_bits, 1, 28),
        "allow": list(allow),
        "least_rows": whole("least_rows", least_rows, 0, 2**32 - 1),
        "upload_id": upload_id,
    }
    choice = _choice(columns, label, labels, classes, binary, scale, label_scale, standardise, key)
    return Shared(
        *_sharelet.share(table(data, "data"), _labels(labels), no_label, choice, recipients)
    )


@dataclass(frozen=True)
class Trained:
    """A model that was trained in the clear, on the whole numbers of private training."""

    #: What the configuration opens of the private run: these numbers where its truncations are
    #: exact, and nearly these where they are not.
    curve: Curve
    #: Floating point on the same rows.
    float_curve: Curve
    #: The model as an ONNX file, for `import_model`; it takes values as they came.
    onnx: bytes = field(repr=False)
    #: The columns that it takes.
    columns: list[str] = field(repr=False)

    @property
    def accuracy(self) -> float | None:
        """Fraction of right answers after the last epoch, of the rows that were held out if there
        are any. None if the configuration opens no accuracy, or labels are numbers."""
        return self._last("accuracy")

    @property
    def loss(self) -> float | None:
        """The loss, likewise."""
        return self._last("loss")

    def _last(self, what: str) -> float | None:
        for rows in ("test", "train"):
            values = self.curve[f"{rows}_{what}"]
            if values.size and np.isfinite(values[-1]):
                return float(values[-1])
        return None

    def save(self, file: File, *, force: bool = False) -> None:
        """Writes the ONNX file. `force` replaces one that is there."""
        to = path(file)
        if to.exists() and not force:
            raise InputError(f"{to} exists already; choose another name, or replace it with force")
        to.write_bytes(self.onnx)


def train_plain(
    config: File,
    data: Any,
    *,
    label: str | Sequence[str] | None = None,
    labels: Any = None,
    test: Any = None,
    test_labels: Any = None,
    columns: Sequence[str] | None = None,
    classes: int | None = None,
    binary: bool = False,
    scale: float | None = None,
    label_scale: float = 1.0,
    standardise: bool | None = None,
) -> Trained:
    """Trains in the clear what two servers would train privately, and in floating point beside it.

    `config` is the file config.toml, or its text. `data` and the rest are as in `share`; `test` is
    more data, to test on.
    """
    if isinstance(config, str) and "\n" in config:
        named = (Path("config"), config)
    else:
        try:
            named = (path(config), path(config).read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path(config)}: {error}") from error
    if test is None and test_labels is not None:
        raise InputError("test_labels belong to test, and there is none")
    choice = _choice(columns, label, labels, classes, binary, scale, label_scale, standardise)
    more = None if test is None else (table(test, "test"), _labels(test_labels, "test_labels"))
    twin, plain, onnx, names = _sharelet.train_plain(
        named, table(data, "data"), _labels(labels), more, choice
    )
    return Trained(_curve(twin), _curve(plain), onnx, names)


def _curve(lines: Sequence[_sharelet.Epoch]) -> Curve:
    values = np.array(lines, dtype=np.float64).reshape(-1, len(_COLUMNS))
    return {name: values[:, column] for column, name in enumerate(_COLUMNS)}
