r"""How a gradient becomes a new weight (floor 4).

Below, w is any weight or bias, g the gradient of the minibatch's loss by it (penalties included),
:math:`\eta` the learning rate, and t the number of the update, from 1 on; other letters are the
optimizer's state, one number for each w, 0 at first. All operations are elementwise. The
formulas are those of the optimizers of PyTorch that have these names.

`default_rate` is the learning rate where none is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from fastmlp.options import check_fields
from fastmlp.validation.checks import above_zero, from_zero_below_one


class Optimizer(ABC):
    """Base class of the optimizers: frozen dataclasses, each known by a name in `OPTIMIZERS`.

    Examples
    --------
    >>> from fastmlp.optimizers import Adam, Optimizer
    >>> isinstance(Adam(), Optimizer)
    True
    """

    @property
    @abstractmethod
    def default_rate(self) -> float:
        """The learning rate if none is given."""


@final
@dataclass(frozen=True)
class SGD(Optimizer):
    r"""Stochastic gradient descent, :math:`w \leftarrow w - \eta g`.

    (Robbins and Monro, A Stochastic Approximation Method, 1951.)
    """

    default_rate: ClassVar[float] = 0.05


@final
@dataclass(frozen=True)
class Momentum(Optimizer):
    r"""Heavy ball: :math:`v \leftarrow \mu v + g`, :math:`w \leftarrow w - \eta v`.

    (Polyak, Some methods of speeding up the convergence of iteration methods, 1964, section 2.)

    Parameters
    ----------
    momentum : float, default 0.9
        The :math:`\mu` above, of at least 0 and below 1; a steady gradient is followed at
        :math:`\eta / (1 - \mu)`.

    Raises
    ------
    ValueError, TypeError
        In one sentence that names the argument, what it must be and what it is. So do all
        optimizers with parameters.

    Examples
    --------
    >>> from fastmlp.optimizers import Momentum
    >>> Momentum(0.95)
    Momentum(momentum=0.95)
    >>> Momentum(-1)
    Traceback (most recent call last):
    ValueError: `momentum` must be at least 0 and below 1, got -1.0.
    """

    momentum: float = 0.9
    default_rate: ClassVar[float] = 0.01

    def __post_init__(self) -> None:
        check_fields(self, momentum=from_zero_below_one)


@final
@dataclass(frozen=True)
class Nesterov(Optimizer):
    r"""Momentum that takes its gradient where it is about to be.

    .. math:: v \leftarrow \mu v + g, \quad w \leftarrow w - \eta (g + \mu v)

    Nesterov's accelerated gradient in the form of Sutskever et al. (On the importance of
    initialization and momentum in deep learning, 2013, section 2), w being the point ahead.

    Parameters
    ----------
    momentum : float, default 0.9
        The :math:`\mu` above, of at least 0 and below 1.
    """

    momentum: float = 0.9
    default_rate: ClassVar[float] = 0.01

    def __post_init__(self) -> None:
        check_fields(self, momentum=from_zero_below_one)


@final
@dataclass(frozen=True)
class RMSprop(Optimizer):
    r"""Steps in units of the gradient's recent root mean square.

    .. math:: s \leftarrow \rho s + (1 - \rho) g^2, \quad
              w \leftarrow w - \eta \, g / (\sqrt s + \epsilon)

    (Tieleman and Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012.)

    Parameters
    ----------
    decay : float, default 0.99
        The :math:`\rho` above, of at least 0 and below 1.
    epsilon : float, default 1e-8
        Above 0; it is added to the root, not under it.
    """

    decay: float = 0.99
    epsilon: float = 1e-8
    default_rate: ClassVar[float] = 0.001

    def __post_init__(self) -> None:
        check_fields(self, decay=from_zero_below_one, epsilon=above_zero)


@final
@dataclass(frozen=True)
class Adagrad(Optimizer):
    r"""Steps that shrink with all the gradients so far: rare features keep larger ones.

    .. math:: s \leftarrow s + g^2, \quad w \leftarrow w - \eta \, g / (\sqrt s + \epsilon)

    (Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization, 2011, section 1.1, with diagonal matrices.)

    Parameters
    ----------
    epsilon : float, default 1e-10
        Above 0.
    """

    epsilon: float = 1e-10
    default_rate: ClassVar[float] = 0.01

    def __post_init__(self) -> None:
        check_fields(self, epsilon=above_zero)


@final
@dataclass(frozen=True)
class Adam(Optimizer):
    r"""Momentum in units of the gradient's recent root mean square.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
              v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \\
              w \leftarrow w - \eta \, \frac{m}{1 - \beta_1^t} \Big/
              \left( \sqrt{\frac{v}{1 - \beta_2^t}} + \epsilon \right)

    The quotients by :math:`1 - \beta^t` make up for the zeros that m and v began with (Kingma and
    Ba, Adam: A Method for Stochastic Optimization, 2015, algorithm 1).

    Parameters
    ----------
    beta1, beta2 : float, default 0.9 and 0.999
        Of at least 0 and below 1.
    epsilon : float, default 1e-8
        Above 0.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    default_rate: ClassVar[float] = 0.001

    def __post_init__(self) -> None:
        check_fields(self, beta1=from_zero_below_one, beta2=from_zero_below_one, epsilon=above_zero)


@final
@dataclass(frozen=True)
class AdamW(Optimizer):
    r"""Adam with a decay of the weights that is apart from the gradient.

    First :math:`w \leftarrow (1 - \eta \lambda) w`, then as `Adam`, whose parameters these are.
    :math:`\lambda` is the network's `l2`, which is not added to g here; biases do not decay
    (Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, algorithm 2).
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    default_rate: ClassVar[float] = 0.001

    def __post_init__(self) -> None:
        check_fields(self, beta1=from_zero_below_one, beta2=from_zero_below_one, epsilon=above_zero)


#: The names that users may pass, and what they stand for.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
}
