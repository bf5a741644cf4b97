"""Arrays and tables as the bytes that the native half takes."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

#: A file, or what errors call some bytes and the bytes.
Data = str | tuple[str, bytes]


def numbers(x: Any, what: str) -> npt.NDArray[Any]:
    """An array of real numbers, of whatever has them: an array, a table, a tensor."""
    if hasattr(x, "detach"):
        x = x.detach()
    values = np.asarray(x.to_numpy() if hasattr(x, "to_numpy") else x)
    if values.dtype.kind not in "biuf":
        raise InputError(
            f"{what}: values of type {values.dtype} where numbers are expected; "
            "choose columns of numbers, and convert them"
        )
    return values


def rows(x: Any, width: int | None, what: str) -> tuple[npt.NDArray[np.float32], bool]:
    """Rows of `float32`, and whether `x` was a single reading.

    Dimensions after the first are flattened; bytes are divided by 255, as by the program.
    """
    values = numbers(x, what)
    if values.size == 0 or values.ndim == 0:
        raise InputError(f"{what}: there is no reading; give rows of numbers")
    if values.dtype == np.uint8:
        values = values / np.float32(255)
    found = values.size // len(values)
    single = values.ndim == 1 if width is None else found != width and values.size == width
    if single:
        values = values[np.newaxis]
    elif width is not None and found != width:
        found = values.size if values.ndim == 1 else found
        raise InputError(f"{what}: a reading has {found} values, the model takes {width}")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values.reshape(len(values), -1), dtype="<f4"), single


def answers(bytes_: bytes, outputs: int, single: bool) -> npt.NDArray[np.float64]:
    """A row for each reading, or the only row."""
    values = np.frombuffer(bytes_, "<f8").astype(np.float64)
    return values if single else values.reshape(-1, outputs)


def table(data: Any, name: str) -> Data:
    """A file's path, or the bytes of a table (CSV) or of an array (.npy)."""
    if isinstance(data, (str, os.PathLike)):
        return os.fspath(data)
    if hasattr(data, "to_csv"):
        flags = data.select_dtypes("bool").columns if hasattr(data, "select_dtypes") else []
        text = data.astype({flag: "int8" for flag in flags}).to_csv(index=False)
        return f"{name}.csv", text.encode()
    if hasattr(data, "write_csv"):
        return f"{name}.csv", data.write_csv().encode()
    values = numbers(data, name)
    if values.ndim not in (1, 2):
        values = values.reshape(len(values), -1)
    if values.dtype.kind == "b":
        values = values.astype("<i1")
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values, values.dtype.newbyteorder("<")), allow_pickle=False)
    return f"{name}.npy", file.getvalue()


def whole(name: str, value: int, least: int, most: int) -> int:
    """A whole number within bounds."""
    if not least <= value <= most:
        raise InputError(f"{name}: {value} is not from {least} to {most}")
    return int(value)


def path(file: str | os.PathLike[str]) -> Path:
    """A path, with `~` as the home directory."""
    return Path(file).expanduser()
