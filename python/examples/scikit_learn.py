"""A classifier of scikit-learn, asked without its owner seeing what about.

    pip install sharelet scikit-learn skl2onnx
"""

# %% Train, as ever.
import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import sharelet

images, digits = load_digits(return_X_y=True)
images = (images / 16).astype(np.float32)
x, held_out, y, truth = train_test_split(images, digits, random_state=1)
network = MLPClassifier((32,), max_iter=300, random_state=1).fit(x, y)
print(f"scikit-learn is right for {network.score(held_out, truth):.1%} of {len(truth)} digits")

# %% Import: the network in whole numbers, with scales chosen from what it was trained on.
onnx = to_onnx(network, x[:1], options={"zipmap": False})
model = sharelet.import_model(onnx, calibration=x, output="probabilities", name="digits")
print(model)
print(model.report)

# %% Infer privately. Device, host and dealer are three parties in this process; what they say to
# each other is what they would say over a network.
with sharelet.loopback(model) as device:
    private = device.infer(held_out)
assert np.array_equal(private, model.twin(held_out))
print(f"{len(private)} private answers, bit for bit those of the twin in the clear")

# %% Compare. A softmax at the end is left to whoever gets the answer.
classes = private.argmax(1)
print(f"private answers are right for {np.mean(classes == truth):.1%}")
print(f"{np.mean(classes == network.predict(held_out)):.1%} are alike in floating point")
probabilities = np.exp(private - private.max(1, keepdims=True))
probabilities /= probabilities.sum(1, keepdims=True)
error = np.abs(probabilities - network.predict_proba(held_out)).max()
print(f"probabilities are off by {error:.4f} at most")
