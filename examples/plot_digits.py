"""
==============================
Recognizing handwritten digits
==============================

A first network from start to finish: 1,797 real handwritten digits, which come with the package,
a network with one hidden layer, and four pictures that say what it has learned.

Expect about 96 % of the digits that it has never seen to be recognized, after a second of
training.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastmlp import MLP, callbacks, datasets
from fastmlp.plotting import (
    ConfusionMatrixDisplay,
    FirstLayerWeightsDisplay,
    LearningCurvesDisplay,
)

# %%
# The data
# --------
#
# Each row of ``X`` is an image of 8 x 8 pixels, line by line, from 0 (paper) to 16 (ink), and ``y``
# has the digit on it. The last 397 images are kept for the test at the end. Training sees nothing
# of them.

X, y = datasets.digits()
X_train, y_train = X[:1400], y[:1400]
X_test, y_test = X[1400:], y[1400:]
print(X_train.shape, X_train.dtype, X_test.shape)

# %%
# The network
# -----------
#
# ``[64, 64, 10]`` are the sizes of the input, the hidden layer and the output: a pixel for each
# input, a class for each output. The images are bytes and stay bytes; ``input_scale`` makes numbers
# from 0 to 1 of them as they are read. ``random_state`` makes every run the same, to the last bit
# and with any number of threads.
#
# A fifth of the training images, drawn at random, is held out to judge each epoch.
# :class:`~fastmlp.callbacks.EarlyStopping` ends training after ten epochs in a row without a
# smaller loss on them, and goes back to the weights of the best epoch.

mlp = MLP([64, 64, 10], learning_rate=0.002, dropout=0.2, input_scale=1 / 16, random_state=0)
stopping = callbacks.EarlyStopping(patience=10)
mlp.fit(X_train, y_train, epochs=200, validation_fraction=0.2, callbacks=[stopping])
print(f"{len(mlp.history_['loss'])} epochs, the best is {stopping.best_epoch + 1}")

# %%
# Was it trained for long enough?
# -------------------------------
#
# Look at the two curves. As long as both fall, training longer helps. Where the one of the held-out
# images is flat while the other still falls, the network begins to learn its training images by
# heart.

LearningCurvesDisplay.from_history(mlp.history_)
plt.show()

# %%
# Which digits are taken for which?
# ---------------------------------
#
# The accuracy is one number; the confusion matrix says where the errors are. A row has the images
# of one digit, and a column those that the network takes for it, so everything off the diagonal is
# an error.

print(f"accuracy on the test images: {mlp.score(X_test, y_test):.3f}")
ConfusionMatrixDisplay.from_estimator(mlp, X_test, y_test)
plt.show()

# %%
# The errors themselves are worth a look. Some of these digits would puzzle people too.

predicted = mlp.predict(X_test)
wrong = np.flatnonzero(predicted != y_test)[:12]
figure, axes = plt.subplots(2, 6, figsize=(7, 3), layout="constrained")
for ax in axes.flat:
    ax.set_axis_off()
for ax, i in zip(axes.flat, wrong, strict=False):
    ax.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{y_test[i]} taken for {predicted[i]}", fontsize="small")
plt.show()

# %%
# What does a hidden unit look for?
# ---------------------------------
#
# Every hidden unit has a weight for each of the 64 pixels, so its weights are an image as well. A
# unit is active if there is ink where its weights are positive and none where they are negative.
# Strokes and edges appear; the pixels on the left and right border are nearly always paper, so
# their weights stay as they were drawn at random.

FirstLayerWeightsDisplay.from_estimator(mlp, shape=(8, 8))
plt.show()
