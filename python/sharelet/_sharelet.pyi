from collections.abc import Sequence
from os import PathLike
from typing import Any

__version__: str

Path = str | PathLike[str]
Data = str | tuple[str, bytes]
Epoch = tuple[int, float | None, float | None, float | None, float | None]

class Model:
    name: str
    inputs: int
    outputs: int
    input_limit: float
    input_limits: list[float]
    frac_bits: int
    labels: list[str]
    report: tuple[str, list[str], float, float] | None
    @staticmethod
    def load(path: Path) -> Model: ...
    def save(self, path: Path, force: bool) -> None: ...
    def twin(self, bytes: bytes) -> bytes: ...

class Loopback:
    address: str
    files: tuple[PathLike[str], PathLike[str], PathLike[str]]
    def __init__(self, model: Model) -> None: ...
    def stop(self) -> None: ...

def import_model(
    source: bytes | Path,
    calibration: bytes,
    calibration_width: int,
    output: str | None,
    labels: list[str],
    name: str | None,
    options: tuple[int, int | None, int | None, int | None, float, str],
) -> Model: ...
def infer(
    host: str,
    files: tuple[Path, Path, Path],
    width: int,
    bytes: bytes,
    retries: int,
    timeout: float,
) -> bytes: ...
def share(
    data: Data,
    labels: Data | None,
    no_label: bool,
    choice: dict[str, Any],
    recipients: dict[str, Any],
) -> tuple[str, int, int, str]: ...
def train_plain(
    config: tuple[Path, str],
    data: Data,
    labels: Data | None,
    test: tuple[Data, Data | None] | None,
    choice: dict[str, Any],
) -> tuple[Sequence[Epoch], Sequence[Epoch], bytes, list[str]]: ...
def program(arguments: Sequence[str]) -> int: ...
