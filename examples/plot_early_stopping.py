"""
==============================
Early stopping and checkpoints
==============================

When to stop training, and how not to lose it. The first half of this example lets the data say when
it is time to stop. The second half interrupts a training in the middle, as Ctrl-C or a power cut
would, and continues from its last checkpoint: the network has the same bits as one whose training
was never interrupted.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastmlp import MLP, callbacks, datasets
from fastmlp.plotting import LearningCurvesDisplay

# %%
# Stop when it no longer helps
# ----------------------------
#
# A large network and only 600 images: it could learn each of them by heart. So a quarter of them is
# held out. As long as the loss on that quarter falls, the network learns what is true of digits;
# when it rises while that of the others still falls, it learns images. ``EarlyStopping`` ends
# training after ``patience`` epochs without a new minimum, and goes back to the weights of the best
# epoch.

X, y = datasets.digits()
X, X_test, y, y_test = X[:600], X[600:], y[:600], y[600:]


def new_network():
    """Return a network before its training."""
    return MLP([64, 128, 10], learning_rate=0.005, input_scale=1 / 16, random_state=0)


mlp = new_network()
stopping = callbacks.EarlyStopping(monitor="validation_loss", patience=15)
mlp.fit(X, y, epochs=500, validation_fraction=0.25, callbacks=[stopping])
print(f"ended after {len(mlp.history_['loss'])} of at most 500 epochs")
print(f"best epoch: {stopping.best_epoch + 1}, validation loss {stopping.best:.3f}")
print(f"accuracy on {len(y_test):,} other images: {mlp.score(X_test, y_test):.3f}")

# %%
# The best epoch is marked. To its right the training loss goes on falling to zero, and nothing is
# gained by it.

LearningCurvesDisplay.from_estimator(mlp)
plt.show()

# %%
# Write checkpoints
# -----------------
#
# ``ModelCheckpoint`` writes a file, here after every fifth epoch. A file is written whole or not at
# all, and has everything that the rest of the training depends on: the weights, the moments of the
# optimizer, the position in the random numbers, and for how long the other callbacks have waited.
# ``resume=True`` begins from the file if there is one, so the same program starts a training and
# continues it.
#
# The other callback does what Ctrl-C would do, at the beginning of a chosen epoch.


class Interrupt(callbacks.Callback):
    """Interrupt the training as Ctrl-C does, and count the epochs of this call of fit."""

    def __init__(self, epoch=None):
        self.epoch, self.n_epochs = epoch, 0

    def on_epoch_begin(self, epoch, logs=None):
        """Raise what Python raises when the user presses Ctrl-C."""
        if epoch + 1 == self.epoch:
            raise KeyboardInterrupt
        self.n_epochs += 1


def train(path, interrupt):
    """Begin a training or continue it, and return the network."""
    mlp = new_network()
    checkpoint = callbacks.ModelCheckpoint(path, every=5)
    stopping = callbacks.EarlyStopping(monitor="validation_loss", patience=15)
    together = [checkpoint, stopping, interrupt]
    mlp.fit(X, y, epochs=500, validation_fraction=0.25, callbacks=together, resume=True)
    return mlp


folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "digits.npz")
try:
    train(path, Interrupt(epoch=12))
except KeyboardInterrupt:
    print(f"interrupted; {path.name} is of epoch {len(MLP.load(path).history_['loss'])}")

# %%
# The second call continues after epoch 10, stops by itself, and ends with the same history and the
# same bits as the training above, which nothing has interrupted.

counting = Interrupt()
resumed = train(path, counting)
same = all(map(np.array_equal, resumed.weights, mlp.weights))
print(f"epochs: {len(resumed.history_['loss'])}, {counting.n_epochs} of them in this call")
print(f"the weights have the same bits: {same}")
print(f"the losses of all epochs have the same bits: {resumed.history_ == mlp.history_}")
folder.cleanup()
