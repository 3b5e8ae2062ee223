"""Networks as modules of PyTorch, and such modules as networks."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastmlp.core.equations.activations import LEAK
from fastmlp.exchange.layers import EXP, IDENTITY, SIGMOID, SOFTMAX, Layer, Layers, check_shapes
from fastmlp.messages import must, short
from fastmlp.tables import extras

INSTALL = "pip install torch"
#: The classes of torch.nn, and arguments that are not their defaults.
MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "identity": ("Identity", {}),
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": LEAK}),
    "elu": ("ELU", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "softplus": ("Softplus", {}),
    "gelu": ("GELU", {}),
    "silu": ("SiLU", {}),
}
#: What their attributes must be.
FIXED: dict[str, dict[str, Any]] = {
    "LeakyReLU": {"negative_slope": LEAK},
    "ELU": {"alpha": 1.0},
    "Softplus": {"beta": 1.0, "threshold": 20.0},
    "GELU": {"approximate": "none"},
}
#: Before which an output that was dropped is the same as after.
ZERO_AT_ZERO = ("identity", "relu", "leaky_relu")
KNOWN = "Linear, Dropout, Flatten, Softmax and the activations of fastmlp"
#: Classes of this module, which exist when PyTorch is imported.
OWN = ("Scaling", "Exp")


def torch() -> Any:
    """Import PyTorch."""
    return extras.required("torch", "PyTorch", "Exchanging networks with PyTorch", INSTALL)


@functools.cache
def own_modules() -> dict[str, Any]:
    """Return the modules that PyTorch lacks, by name."""
    library = torch()
    Module: Any = library.nn.Module

    class Scaling(Module):  # type: ignore[misc]
        """``(x - shift) * scale``, neither of which is trained."""

        def __init__(self, shift: Any, scale: Any):
            super().__init__()
            self.register_buffer("shift", shift)
            self.register_buffer("scale", scale)

        def forward(self, x: Any) -> Any:
            """Return the scaled inputs."""
            return (x - self.shift) * self.scale

    class Exp(Module):  # type: ignore[misc]
        """``exp(x)``."""

        def forward(self, x: Any) -> Any:
            """Return the exponential."""
            return library.exp(x)

    found: dict[str, Any] = {"Scaling": Scaling, "Exp": Exp}
    for name, kind in found.items():
        kind.__qualname__ = name  # so that pickle finds it here
    return found


def __getattr__(name: str) -> Any:
    if name in OWN:
        return own_modules()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# To PyTorch ---------------------------------------------------------------------------------------


def to_module(layers: Layers, logits: bool) -> Any:
    """Return an ``nn.Sequential`` of the layers, in evaluation mode, see `MLP.to_torch`."""
    nn = torch().nn
    modules = []
    if layers.shift is not None and layers.scale is not None:
        modules.append(own_modules()["Scaling"](_copied(layers.shift), _copied(layers.scale)))
    for layer in layers.layers:
        modules.append(_linear(layer))
        name, arguments = MODULES[layer.activation]
        if layer is not layers.layers[-1] or layer.activation != IDENTITY:
            modules.append(getattr(nn, name)(**arguments))
        if layer.dropout > 0:
            modules.append(nn.Dropout(layer.dropout))
    if not logits and layers.link != IDENTITY:
        kinds = {
            SOFTMAX: lambda: nn.Softmax(dim=1), SIGMOID: nn.Sigmoid, EXP: own_modules()["Exp"]
        }  # fmt: skip
        modules.append(kinds[layers.link]())
    return nn.Sequential(*modules).eval()


def _linear(layer: Layer) -> Any:
    library = torch()
    n_out, n_in = layer.weights.shape
    dtype = getattr(library, layer.weights.dtype.name)
    # Without drawing initial weights from PyTorch's source of random numbers.
    made = library.nn.utils.skip_init(library.nn.Linear, n_in, n_out, dtype=dtype)
    with library.no_grad():
        made.weight.copy_(_copied(layer.weights))
        made.bias.copy_(_copied(layer.biases))
    return made


def _copied(array: np.ndarray) -> Any:
    return torch().from_numpy(np.array(array, order="C"))


# From PyTorch -------------------------------------------------------------------------------------


def from_module(module: Any) -> Layers:
    """Return the layers of a module, see `MLP.from_torch`.

    Raises
    ------
    TypeError, ValueError
        For modules other than an ``nn.Sequential`` of what `MLP` computes as well; the message
        names the first of them.
    """
    nn = torch().nn
    if not isinstance(module, (nn.Sequential, nn.Linear)):
        raise TypeError(must("module", "be an nn.Sequential", short(type(module).__name__)))
    reading = _Reading()
    for name, part in _parts(module, ""):
        reading.take(name, part)
    return reading.finished()


def _parts(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the modules in a Sequential, and in those inside it, with their names in messages."""
    nn = torch().nn
    name, at = type(module).__name__, f" at {path}" if path else ""
    for kind in (nn.Sequential, nn.Linear, nn.Dropout, nn.Flatten, nn.Softmax):
        if isinstance(module, kind) and type(module).forward is not kind.forward:
            raise _refused(f"{name}{at}, which has a forward of its own")
    if module._forward_hooks or module._forward_pre_hooks:
        raise _refused(f"{name}{at}, which has hooks")
    if not isinstance(module, nn.Sequential):
        yield path or "0", module
        return
    for name, part in module._modules.items():  # named_children leaves out those that repeat
        yield from _parts(part, f"{path}.{name}" if path else name)


class _Reading:
    """The layers that are read so far, and what was the last part."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.link: str | None = None
        self.scaling: tuple[Any, Any] = (None, None)
        self.has_activation = False  # of the last layer
        self.held = 0.0  # the dropout before the activation of the last layer
        self.dtype: np.dtype[Any] | None = None

    def take(self, name: str, part: Any) -> None:
        """Read the next part; TypeError or ValueError if it does not belong there."""
        nn, kind = torch().nn, type(part).__name__
        text = f"{kind} at {name}"
        if self.link is not None:
            raise _refused(f"{text}, after {self.link}")
        if isinstance(part, nn.Linear):
            self._take_linear(name, part)
        elif isinstance(part, nn.Dropout):
            self._take_dropout(text, part)
        elif isinstance(part, nn.Flatten) and not self.layers:
            if (part.start_dim, part.end_dim) != (1, -1):
                raise _refused(f"{text} of other dimensions than 1 to -1")
        elif isinstance(part, own_modules()["Scaling"]) and not self.layers:
            self.scaling = _array(part.shift), _array(part.scale)
        elif isinstance(part, nn.Softmax) and self.layers:
            if part.dim not in (1, -1):
                raise _refused(f"{text} over dimension {part.dim}")
            self.link = SOFTMAX
        elif isinstance(part, own_modules()["Exp"]) and self.layers:
            self.link = EXP
        else:
            self._take_activation(text, part)

    def _take_linear(self, name: str, part: Any) -> None:
        self._end_layer()
        weights = _array(part.weight)
        dtype = np.dtype(np.float64 if weights.dtype == np.float64 else np.float32)
        if self.dtype is not None and dtype != self.dtype:
            raise ValueError(must("module", f"be {self.dtype} in all layers", f"{dtype} at {name}"))
        self.dtype = dtype
        biases = np.zeros(len(weights)) if part.bias is None else _array(part.bias)
        self.layers.append(Layer(weights.astype(dtype), biases.astype(dtype)))
        self.has_activation, self.held = False, 0.0

    def _take_dropout(self, text: str, part: Any) -> None:
        p = float(part.p)
        if p == 0:
            return
        if not self.layers or self.layers[-1].dropout > 0 or self.held > 0:
            raise _refused(f"{text}, before the first layer or after another one")
        if self.has_activation:
            self.layers[-1].dropout = p
        else:
            self.held = p

    def _take_activation(self, text: str, part: Any) -> None:
        nn = torch().nn
        names = {getattr(nn, kind): name for name, (kind, _) in MODULES.items()}
        name = names.get(type(part))
        if name is None:
            raise _refused(text)
        if name == IDENTITY:
            return
        for attribute, value in FIXED.get(type(part).__name__, {}).items():
            if getattr(part, attribute) != value:
                raise _refused(f"{text} with {attribute}={getattr(part, attribute)}")
        if not self.layers or self.has_activation:
            if self.layers and name == SIGMOID:  # of an output that has an activation
                self.link = SIGMOID
                return
            raise _refused(f"{text}, which follows no Linear")
        self.layers[-1].activation, self.has_activation = name, True
        if self.held > 0:
            if name not in ZERO_AT_ZERO:
                raise _refused(f"{text}, after Dropout")
            self.layers[-1].dropout, self.held = self.held, 0.0

    def _end_layer(self) -> None:
        """Check that another layer may follow."""
        if self.held > 0:
            self.layers[-1].dropout, self.held = self.held, 0.0

    def finished(self) -> Layers:
        """Return all layers."""
        if not self.layers:
            raise ValueError(must("module", "have a Linear", "none"))
        last = self.layers[-1]
        if last.dropout > 0 or self.held > 0:
            raise _refused("Dropout of the outputs")
        link = self.link or IDENTITY
        if self.link is None and last.activation == SIGMOID:
            last.activation, link = IDENTITY, SIGMOID
        found = Layers(self.layers, link, *self.scaling)
        check_shapes(found, "module")
        return found


def _refused(got: str) -> ValueError:
    return ValueError(must("module", f"have only {KNOWN}, in the order of an MLP", got))


def _array(parameter: Any) -> np.ndarray:
    """Return a tensor as an array, which may share its memory; float32 if it is narrower."""
    if parameter.is_meta or not parameter.is_floating_point():
        got = "none, on meta" if parameter.is_meta else f"{parameter.dtype}"
        raise ValueError(must("module", "have parameters of real numbers", got))
    values = parameter.detach().cpu()
    if values.dtype not in (torch().float32, torch().float64):
        values = values.float()
    return values.numpy()
