"""Private inference between two parties, from trained networks.

    import numpy, sharelet
    x = numpy.load("calibration.npy")
    model = sharelet.import_model("vibration.onnx", calibration=x)
    with sharelet.loopback(model) as device:
        print(device.infer(x[0]))
"""

from ._sharelet import __version__
from .devices import Device, loopback
from .errors import Error, InputError
from .models import Model, import_model, load
from .training import Shared, Trained, share, train_plain

__all__ = [
    "Device",
    "Error",
    "InputError",
    "Model",
    "Shared",
    "Trained",
    "__version__",
    "import_model",
    "load",
    "loopback",
    "share",
    "train_plain",
]
