"""A user's program: mypy checks it with the package, and a test runs it.

Each `type: ignore` is a mistake that mypy must find: `warn_unused_ignores` reports others.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import assert_type

import numpy as np

import fastmlp
from fastmlp import MLP, NeuralNet
from fastmlp.callbacks import EarlyStopping
from fastmlp.losses import Huber, Loss
from fastmlp.optimizers import Adam, Optimizer
from fastmlp.schedules import Cosine, Schedule


class Regressor(MLP):
    """A subclass, which `fit` and `load` return."""


def train() -> None:
    """Train networks of each class, save and load them."""
    X, y = np.zeros((6, 2)), np.zeros(6)
    loss: Loss = Huber(2.0)
    optimizer: Optimizer = Adam(beta1=0.8)
    rate: Schedule = Cosine(0.1, steps=10)
    mlp = Regressor(
        [2, 3, 1], activation="tanh", loss=loss, optimizer=optimizer, learning_rate=rate, l2=[0, 1]
    )
    assert_type(mlp.fit(X, y, epochs=1, callbacks=[EarlyStopping("loss")]), Regressor)
    assert_type(mlp.partial_fit(X, y), Regressor)
    assert_type(mlp.score(X, y), float)
    assert_type(mlp.layers, list[int])
    assert_type(mlp.learning_rate, float | Callable[[int], float] | None)
    mlp.l2 = 0.1
    file = io.BytesIO()
    mlp.save(file)
    file.seek(0)
    assert_type(Regressor.load(file), Regressor)
    file.seek(0)
    assert isinstance(fastmlp.load(file), MLP)

    net = NeuralNet([2, 2], random_state=0)
    assert_type(net.fit(X, y, epochs=1, shuffle=False), NeuralNet)
    assert_type(net.predict(X), np.ndarray)
    assert_type(net.history_, dict[str, list[float]])


def mistakes() -> None:
    """Make mistakes, which a type checker finds before the program runs."""
    MLP([2, 1], loss="hinge")  # type: ignore[arg-type]
    MLP([2, 1], optimizer=Huber())  # type: ignore[arg-type]
    mlp = MLP([2, 1])
    mlp.loss = Huber()  # type: ignore[assignment]
    mlp.fit([[0.0, 0.0]], [0.0], epoch=1)  # type: ignore[call-arg]
    NeuralNet([2, 2]).fit([[0.0, 0.0]], [0], epoch=1)  # type: ignore[call-arg]
    Loss()  # type: ignore[abstract]
