"""The party that has readings, and parties to try it out with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _sharelet
from .arrays import answers, path, rows, whole
from .errors import InputError
from .models import File, Model


class Device:
    """The party that has readings, and gets the answers of a host to them.

    `host` is its address, `HOST:PORT`. `id` and `key` are the files that `sharelet provision`
    made for this device, and the counter lies beside the key: no number in it is used twice, so
    keep no copies. A device is used by one program at a time.
    """

    def __init__(
        self,
        host: str,
        id: File,
        key: File,
        counter: File | None = None,
        *,
        retries: int = 5,
        timeout: float = 30.0,
    ) -> None:
        beside = path(key).with_suffix(".counter")
        self._files = (path(id), path(key), beside if counter is None else path(counter))
        if not timeout > 0.0:
            raise InputError(f"timeout: {timeout} is not a number of seconds above 0")
        self._host, self._retries = host, whole("retries", retries, 0, 2**32 - 1)
        self._timeout = float(timeout)
        self._inputs: int | None = None

    def __repr__(self) -> str:
        return f"<sharelet.Device {self._files[0].stem!r} at {self._host}>"

    def infer(self, x: Any) -> npt.NDArray[np.float64]:
        """Answers to readings, a row for each. The host learns neither; nor does the device learn
        the model. Many at once are faster than one by one: they share a connection.

        A reading that the model is not made for raises an `InputError` at the end.
        """
        readings, single = rows(x, self._inputs, "x")
        width = readings.shape[1]
        limits = (self._retries, self._timeout)
        bytes_ = _sharelet.infer(self._host, self._files, width, readings.tobytes(), *limits)
        return answers(bytes_, len(bytes_) // 8 // len(readings), single)


@contextmanager
def loopback(model: Model) -> Iterator[Device]:
    """A device whose host and dealer are in this process, to try a model out and to teach.

    They are the real parties, with keys, sealed connections over the loopback interface, and state
    on the disk; all of it goes when the block ends. Whoever is in this process sees everything, so
    nothing is private here: that takes three machines.
    """
    parties = _sharelet.Loopback(model._native)
    try:
        device = Device(parties.address, *parties.files)
        device._inputs = model.inputs
        yield device
    finally:
        parties.stop()
