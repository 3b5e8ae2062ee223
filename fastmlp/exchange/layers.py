"""A network as other programs have it: layers, their activations, and what is predicted."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp import random_sources
from fastmlp.losses import LOSSES, Logistic, Loss, Poisson, Softmax
from fastmlp.messages import must, shown
from fastmlp.options import chosen
from fastmlp.settings import ARGUMENTS, Settings
from fastmlp.training.state import State
from fastmlp.validation import checks

#: The functions from the last activations to predictions, and the losses that imply them.
SOFTMAX, SIGMOID, EXP, IDENTITY = "softmax", "sigmoid", "exp", "identity"
LOSS_OF_LINK: dict[str, str] = {
    SOFTMAX: "softmax", SIGMOID: "logistic", EXP: "poisson", IDENTITY: "squared_error",
}  # fmt: skip


def link_of(loss: Loss) -> str:
    """Return the name of the function from the last activations to what is predicted.

    Examples
    --------
    >>> from fastmlp.losses import Huber, Softmax
    >>> link_of(Softmax()), link_of(Huber())
    ('softmax', 'identity')
    """
    links: dict[type[Loss], str] = {Softmax: SOFTMAX, Logistic: SIGMOID, Poisson: EXP}
    return links.get(type(loss), IDENTITY)


@dataclass(eq=False)
class Layer:
    """``f(W a + b)``.

    Parameters
    ----------
    weights, biases : arrays of shape (n_out, n_in) and (n_out,)
        float32 or float64.
    activation : str
        A name of `core.equations.activations.ACTIVATIONS`.
    dropout : float
        The probability of dropping an output in training.
    """

    weights: np.ndarray
    biases: np.ndarray
    activation: str = IDENTITY
    dropout: float = 0.0


@dataclass(eq=False)
class Layers:
    """All layers of a network.

    Parameters
    ----------
    layers : list of Layer
    link : {"softmax", "sigmoid", "exp", "identity"}
        From the last activations to what is predicted.
    shift, scale : arrays of shape (n_in,), or None
        Inputs are read as ``(x - shift) * scale``, if these are not None.
    """

    layers: list[Layer]
    link: str = IDENTITY
    shift: np.ndarray | None = None
    scale: np.ndarray | None = None

    @property
    def sizes(self) -> list[int]:
        """The sizes of the layers, the input included."""
        return [self.layers[0].weights.shape[1], *(len(layer.biases) for layer in self.layers)]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the parameters."""
        return self.layers[0].weights.dtype

    @property
    def n_bytes(self) -> int:
        """The size of the parameters."""
        return sum(layer.weights.nbytes + layer.biases.nbytes for layer in self.layers)


# From networks, and to them ---------------------------------------------------------------------


def of_state(state: State) -> Layers:
    """Return the layers of a network: views of its parameters."""
    settings, network = state.settings, state.network
    layers = [
        Layer(weights, biases[:, 0], activation, dropout)
        for weights, biases, activation, dropout in zip(
            network.weights, network.biases,
            [*settings.activation, settings.output_activation],
            [*settings.of_layers("dropout"), 0.0], strict=True,
        )
    ]  # fmt: skip
    if settings.scaling is None:
        return Layers(layers, link_of(settings.loss))
    return Layers(layers, link_of(settings.loss), settings.input_shift, settings.input_scale)


def to_state(
    layers: Layers, class_name: str, given: dict[str, Any], defaults: dict[str, Any], source: str
) -> State:
    """Return a network of these layers, without drawing random numbers.

    Parameters
    ----------
    layers : Layers
        Their parameters are copied.
    class_name : {"MLP", "NeuralNet"}
    given : dict
        Arguments of the class that the layers say nothing about, and the loss, if it is not the
        first one that predicts as the layers do.
    defaults : dict
        Those of the class.
    source : str
        Where the layers come from, in messages: "module".

    Raises
    ------
    TypeError, ValueError
        For other arguments, and for layers that the class does not have.
    """
    known = ARGUMENTS[class_name]
    given = dict(given)
    described = _arguments(layers, given, source)
    random_state = given.pop("random_state", None)
    loss = described.pop("loss")
    for name in given:
        if name not in known.names or name in described:
            raise TypeError(
                f"`{name}` cannot be passed: {class_name} has no such argument"
                if name not in known.names
                else f"`{name}` cannot be passed: the {source} says what it is"
            )
    arguments = {"loss": loss} | described
    missing = {name: arguments.pop(name) for name in [*arguments] if name not in known.names}
    usual = {name: value for name, value in defaults.items() if name in known.names}
    settings = known.settings(usual | arguments | given)
    _check_fixed(settings, missing, class_name, source)
    random = None if random_state is None else random_sources.random_source(random_state)
    state = State(settings, random, class_name)
    for l, (layer, weights, biases) in enumerate(
        zip(layers.layers, state.network.weights, state.network.biases, strict=True)
    ):
        weights[...] = checks.parameter_values(f"weights[{l}]", layer.weights, weights)
        values = checks.parameter_values(f"biases[{l}]", layer.biases, biases[:, 0])
        biases[:, 0] = values
    return state


def _arguments(layers: Layers, given: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the arguments that the layers describe; the loss is removed from `given`."""
    output_activation, link = layers.layers[-1].activation, layers.link
    loss = chosen("loss", given.pop("loss", LOSS_OF_LINK[link]), LOSSES)
    wanted = link_of(loss)
    if wanted != link and link == SIGMOID and output_activation == wanted == IDENTITY:
        output_activation, link = SIGMOID, IDENTITY
    if wanted != link and link != IDENTITY:
        requirement = f"be {LOSS_OF_LINK[link]!r} for a {source} that ends with {link}"
        raise ValueError(must("loss", requirement, shown(loss)))
    dropout = [layer.dropout for layer in layers.layers[:-1]]
    scaling = {} if layers.shift is None else {"input_shift": layers.shift}
    scaling |= {} if layers.scale is None else {"input_scale": layers.scale}
    return {
        "layers": layers.sizes,
        "activation": [layer.activation for layer in layers.layers[:-1]],
        "output_activation": output_activation,
        "loss": loss,
        "dropout": dropout if any(dropout) else 0.0,
        "dtype": layers.dtype,
        **scaling,
    }


def _check_fixed(settings: Settings, found: dict[str, Any], class_name: str, source: str) -> None:
    """Raise ValueError if the layers have other settings than those that a class fixes."""
    for name, value in found.items():
        fixed = getattr(settings, name)
        if value != fixed:
            requirement = f"have the {name} {shown(fixed)} to be a {class_name}"
            raise ValueError(must(source, requirement, shown(value), "use MLP"))


def check_shapes(layers: Layers, source: str) -> None:
    """Raise ValueError unless each layer takes what the one before returns."""
    for l, (before, layer) in enumerate(itertools.pairwise(layers.layers), start=1):
        if len(before.biases) != layer.weights.shape[1]:
            requirement = f"have {len(before.biases)} inputs in layer {l}, as layer {l - 1} outputs"
            raise ValueError(must(source, requirement, f"{layer.weights.shape[1]}"))
    n_in = layers.layers[0].weights.shape[1]
    for array in (layers.shift, layers.scale):
        if array is not None and array.shape != (n_in,):
            raise ValueError(must(source, f"scale {n_in} inputs", f"shape {array.shape}"))
