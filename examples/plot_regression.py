"""
==================================
Regression: predicted against true
==================================

A number instead of a class, and the one thing that a network needs for it: a target of a usual
size. The same network is trained twice, on the target as it is and on the standardized target, and
a picture of predicted against true values shows the difference.
"""

import matplotlib.pyplot as plt
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_friedman1
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from fastmlp import MLP
from fastmlp.plotting import PredictionErrorDisplay
from fastmlp.sklearn import MLPRegressor

# %%
# The data
# --------
#
# Friedman's function is a usual test of regression: the sine of a product, a square and two
# straight lines in five inputs, five more inputs without influence, and noise. Read the target as
# the energy that a plant needs in a day, about 14,000 kWh. Of its variance the noise makes 4 %, so
# no model can reach an R2 above 0.96.

X, y = make_friedman1(4000, noise=1.0, random_state=0)
y = 1000 * y
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
print(f"mean of the target {y_train.mean():,.0f} kWh, standard deviation {y_train.std():,.0f} kWh")
print(f"R2 of a linear model: {LinearRegression().fit(X_train, y_train).score(X_test, y_test):.3f}")

# %%
# The target as it is
# -------------------
#
# ``loss="squared_error"`` makes the network predict a number: its last layer is linear, and
# ``score`` is R2. At first the output is about one. Adam changes a weight by about the learning
# rate in each step, however large the error is, so to 14,000 it is a long way: 60 epochs lead no
# further than a linear model.


def new_network():
    """Return a network before its training."""
    return MLP([10, 64, 64, 1], loss="squared_error", learning_rate=0.003, random_state=0)


raw = new_network().fit(X_train, y_train, epochs=60)
print(f"R2 with the target as it is: {raw.score(X_test, y_test):.3f}")

# %%
# The standardized target
# -----------------------
#
# Subtract the mean of the training targets, divide by their standard deviation, and undo both in
# what the network predicts. Everything else stays the same: network, seed and number of epochs.

center, scale = y_train.mean(), y_train.std()
net = new_network().fit(X_train, (y_train - center) / scale, epochs=60)
predicted = net.predict(X_test) * scale + center
r2 = net.score(X_test, (y_test - center) / scale)
print(f"R2 with the standardized target: {r2:.3f}")

# %%
# Predicted against true
# ----------------------
#
# Each point is a row of the test data; on the line, the prediction is right. Look at the form of
# the cloud, which R2 alone does not show. On the left it is wide, and some rows are far below the
# line: the network has found the straight lines of the function, but not yet its product and its
# square. On the right it has the same width everywhere, which is that of the noise.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
pictures = {"target as it is": raw.predict(X_test), "standardized target": predicted}
for ax, (title, values) in zip(axes, pictures.items(), strict=True):
    PredictionErrorDisplay.from_predictions(y_test, values, ax=ax)
    ax.set_title(title)
plt.show()

# %%
# With scikit-learn
# -----------------
#
# ``TransformedTargetRegressor`` keeps scaling and network together as one estimator, which predicts
# kWh. (``MLPRegressor(preset="tabular")`` standardizes the target by itself.)

model = TransformedTargetRegressor(
    MLPRegressor(
        hidden_layer_sizes=(64, 64), learning_rate_init=0.003, early_stopping=True, random_state=0
    ),
    transformer=StandardScaler(),
)
model.fit(X_train, y_train)
print(f"R2: {model.score(X_test, y_test):.3f}")
print("first predictions:", model.predict(X_test[:3]).round(), "kWh")
