"""
==============================
Recognizing handwritten digits
==============================

A first network from start to finish: 1,797 real handwritten digits, which come with the package,
a network with one hidden layer, and four pictures that say what it has learned.

Expect about 98 % of the digits that it has never seen to be recognized, after a second of
training.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

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
# has the digit on it. A quarter of the images is kept for the test at the end; training sees
# nothing of them.

X, y = datasets.digits()
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
print(X_train.shape, X_train.dtype, X_test.shape)

# %%
# The network
# -----------
#
# ``[64, 40, 10]`` are the sizes of the input, the hidden layer and the output: an input for each
# pixel, an output for each class. The images are bytes and stay bytes; ``input_scale`` makes
# numbers from 0 to 1 of them as they are read. ``random_state`` makes every run the same, to the
# last bit and with any number of threads.
#
# 1,078 images are few for some 3,000 weights. Two things work against learning them by heart: noise
# is added to the pixels in every step, and the optimizer AdamW lets all weights decay that are not
# needed, by ``l2``.
#
# A fifth of the training images, drawn at random, is held out to judge each epoch.
# :class:`~fastmlp.callbacks.EarlyStopping` ends training after ten epochs in a row without a
# smaller loss on them, and goes back to the weights of the best epoch.

mlp = MLP(
    [64, 40, 10], optimizer="adamw", learning_rate=0.003, l2=0.2, input_noise=0.2,
    input_scale=1 / 16, random_state=0,
)  # fmt: skip
stopping = callbacks.EarlyStopping(patience=10)
mlp.fit(X_train, y_train, epochs=200, validation_fraction=0.2, callbacks=[stopping])
print(f"{len(mlp.history_['loss'])} epochs, the best is {stopping.best_epoch + 1}")

# %%
# Was it trained for long enough?
# -------------------------------
#
# Look at the two losses. As long as both fall, training longer helps. Where the one of the held-out
# images (validation) is flat while the other still falls, the network only learns more about the
# images that it knows already. The noise makes the training harder than the test, so the training
# loss is the larger one at first.

LearningCurvesDisplay.from_estimator(mlp)
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
# There are few errors, so look at the images themselves. Some would puzzle people too.

predicted = mlp.predict(X_test)
wrong = np.flatnonzero(predicted != y_test)[:12]
figure, axes = plt.subplots(2, 6, figsize=(7, 3), layout="constrained")
for ax, i in zip(axes.flat, wrong, strict=False):
    ax.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{y_test[i]} taken for {predicted[i]}", fontsize="small")
    ax.set(xticks=[], yticks=[])
for ax in axes.flat[len(wrong) :]:
    ax.set_axis_off()
plt.show()

# %%
# What does a hidden unit look for?
# ---------------------------------
#
# Every hidden unit has a weight for each of the 64 pixels, so its weights are an image as well. A
# unit is active if there is ink where its weights are positive (light) and none where they are
# negative (dark). Look for light strokes beside dark ones. An image that is grey all over is of a
# unit that the network does not use: its weights have decayed. ``limit`` is the weight that has the
# lightest colour.

FirstLayerWeightsDisplay.from_estimator(mlp, shape=(8, 8), limit=0.6)
plt.show()
