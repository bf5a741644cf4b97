"""Trained networks in the whole numbers of the protocol."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _sharelet
from .arrays import answers, path, rows, whole
from .errors import InputError

File = str | os.PathLike[str]


class Model:
    """A network in the whole numbers of the protocol: `import_model` or `load` makes it."""

    def __init__(self, native: _sharelet.Model) -> None:
        self._native = native

    def __repr__(self) -> str:
        return f"<sharelet.Model {self.name!r}: {self.inputs} values in, {self.outputs} out>"

    @property
    def name(self) -> str:
        """Its name."""
        return self._native.name

    @property
    def inputs(self) -> int:
        """Values of a reading."""
        return self._native.inputs

    @property
    def outputs(self) -> int:
        """Values of an answer."""
        return self._native.outputs

    @property
    def labels(self) -> list[str]:
        """Names of the outputs, if they have any."""
        return self._native.labels

    @property
    def input_limit(self) -> float:
        """The largest magnitude that any value of a reading may have: the least of
        `input_limits`."""
        return self._native.input_limit

    @property
    def input_limits(self) -> list[float]:
        """The largest magnitude of each value of a reading."""
        return self._native.input_limits

    @property
    def frac_bits(self) -> int:
        """Answers are multiples of `2 ** -frac_bits`."""
        return self._native.frac_bits

    @property
    def report(self) -> str | None:
        """What the import says of scales and errors; None for a model that was loaded."""
        report = self._native.report
        return report[0] if report else None

    @property
    def error(self) -> float | None:
        """Error of the answers to the calibration readings against floating point, relative to
        their size (root mean square); None for a model that was loaded."""
        report = self._native.report
        return report[2] if report else None

    @property
    def largest_error(self) -> float | None:
        """The largest error of a value of these answers; None for a model that was loaded."""
        report = self._native.report
        return report[3] if report else None

    def twin(self, x: Any) -> npt.NDArray[np.float64]:
        """Answers in the clear, a row for each reading: private ones equal them bit for bit."""
        readings, single = rows(x, self.inputs, "x")
        return answers(self._native.twin(readings.tobytes()), self.outputs, single)

    def save(self, file: File, *, force: bool = False) -> None:
        """Writes a model file, for `sharelet host`. `force` replaces one that is there."""
        self._native.save(path(file), force)


def load(file: File) -> Model:
    """Reads a model file, as `sharelet import` and `Model.save` write it."""
    return Model(_sharelet.Model.load(path(file)))


def import_model(
    source: Any,
    calibration: Any,
    *,
    output: str | None = None,
    labels: Sequence[str] = (),
    name: str | None = None,
    max_error: float = 0.2,
    gate_bits: int | None = None,
    headroom_bits: int = 1,
    input_frac_bits: int | None = None,
    input_scale: str = "auto",
    frac_bits: int | None = None,
) -> Model:
    """Imports a trained network, as `sharelet import` does.

    `source` is a file (.onnx or .tflite), the bytes of an ONNX file, or an `onnx.ModelProto`.
    `calibration` are readings from which the scales are chosen: rows of numbers like those that
    will be asked. The rest are the options of the program; `max_error` is in percent. What the
    program warns of is a `UserWarning`.
    """
    if isinstance(labels, str):
        raise InputError("labels: give a list of names, one for each output")
    if not 0.0 <= max_error <= 100.0:
        raise InputError(f"max_error: {max_error} is not a number of percent, 0 to 100")
    if input_scale not in ("auto", "one", "each"):
        raise InputError(f"input_scale: {input_scale!r} is none of auto, one, each")
    bounds = [(input_frac_bits, "input_frac_bits", 0, 24), (frac_bits, "frac_bits", 0, 24)]
    bounds += [(gate_bits, "gate_bits", 8, 32), (headroom_bits, "headroom_bits", 0, 8)]
    for value, option, least, most in bounds:
        if value is not None:
            whole(option, value, least, most)
    readings, _ = rows(calibration, None, "calibration")
    if hasattr(source, "SerializeToString"):
        source = source.SerializeToString()
    native = _sharelet.import_model(
        bytes(source) if isinstance(source, (bytes, bytearray)) else path(source),
        readings.tobytes(),
        readings.shape[1],
        output,
        list(labels),
        name,
        (headroom_bits, input_frac_bits, frac_bits, gate_bits, max_error / 100.0, input_scale),
    )
    for warning in native.report[1] if native.report else []:
        warnings.warn(warning, stacklevel=2)
    return Model(native)
