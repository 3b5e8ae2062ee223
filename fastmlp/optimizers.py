r"""Optimizers: update rules for the parameters.

Below, w is any weight or bias, g the gradient of the minibatch's loss with respect to it (including
penalties), :math:`\eta` the learning rate, and t = 1, 2, ... the number of the update. Other
letters are the state of the optimizer, one number for each w, initially 0. All operations are
elementwise. The formulas are those of PyTorch's optimizers with the same names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from fastmlp.options import added, check_fields
from fastmlp.validation.checks import above_zero, flag, from_zero_below_one, from_zero_to_one


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

    (Robbins and Monro, A Stochastic Approximation Method, 1951.) It has no state.

    Examples
    --------
    >>> from fastmlp.optimizers import SGD
    >>> SGD().default_rate
    0.05
    """

    default_rate: ClassVar[float] = 0.05


@final
@dataclass(frozen=True)
class Momentum(Optimizer):
    r"""Momentum (heavy ball): :math:`v \leftarrow \mu v + g`, :math:`w \leftarrow w - \eta v`.

    (Polyak, Some methods of speeding up the convergence of iteration methods, 1964, section 2.)

    Parameters
    ----------
    momentum : float, default 0.9
        The :math:`\mu` above, from 0 to 1. For a constant gradient the effective learning rate
        approaches :math:`\eta / (1 - \mu)`.
    rate_in_velocity : bool, default False
        Whether :math:`v \leftarrow \mu v + \eta g`, :math:`w \leftarrow w - v`, which differs only
        if the learning rate changes: the velocity keeps the rates of earlier steps.

    Raises
    ------
    ValueError, TypeError
        If a parameter is invalid, as for all optimizers.

    Examples
    --------
    >>> from fastmlp.optimizers import Momentum
    >>> Momentum(0.95)
    Momentum(momentum=0.95, rate_in_velocity=False)
    >>> Momentum(-1)
    Traceback (most recent call last):
    ValueError: `momentum` must be at least 0 and at most 1, got -1.0.
    """

    momentum: float = 0.9
    rate_in_velocity: bool = added(False)
    default_rate: ClassVar[float] = 0.01

    def __post_init__(self) -> None:
        check_fields(self, momentum=from_zero_to_one, rate_in_velocity=flag)


@final
@dataclass(frozen=True)
class Nesterov(Optimizer):
    r"""Nesterov momentum, with the gradient evaluated at the look-ahead point.

    .. math:: v \leftarrow \mu v + g, \quad w \leftarrow w - \eta (g + \mu v)

    Nesterov's accelerated gradient in the form of Sutskever et al. (On the importance of
    initialization and momentum in deep learning, 2013, section 2), where w is the look-ahead point.

    Parameters
    ----------
    momentum : float, default 0.9
        The :math:`\mu` above, from 0 to 1.
    rate_in_velocity : bool, default False
        Whether :math:`v \leftarrow \mu v + \eta g`, :math:`w \leftarrow w - (\eta g + \mu v)`, as
        for `Momentum`.

    Examples
    --------
    >>> from fastmlp.optimizers import Nesterov
    >>> Nesterov()
    Nesterov(momentum=0.9, rate_in_velocity=False)
    """

    momentum: float = 0.9
    rate_in_velocity: bool = added(False)
    default_rate: ClassVar[float] = 0.01

    def __post_init__(self) -> None:
        check_fields(self, momentum=from_zero_to_one, rate_in_velocity=flag)


@final
@dataclass(frozen=True)
class RMSprop(Optimizer):
    r"""Steps divided by a moving root mean square of the gradient.

    .. math:: s \leftarrow \rho s + (1 - \rho) g^2, \quad
              w \leftarrow w - \eta \, g / (\sqrt s + \epsilon)

    (Tieleman and Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012.)

    Parameters
    ----------
    decay : float, default 0.99
        The :math:`\rho` above, at least 0 and below 1.
    epsilon : float, default 1e-8
        Above 0; added to the square root, not under it.

    Examples
    --------
    >>> from fastmlp.optimizers import RMSprop
    >>> RMSprop(decay=0.9)
    RMSprop(decay=0.9, epsilon=1e-08)
    """

    decay: float = 0.99
    epsilon: float = 1e-8
    default_rate: ClassVar[float] = 0.001

    def __post_init__(self) -> None:
        check_fields(self, decay=from_zero_below_one, epsilon=above_zero)


@final
@dataclass(frozen=True)
class Adagrad(Optimizer):
    r"""Steps divided by the root of the sum of all squared gradients so far.

    Parameters with rare gradients, such as the weights of sparse inputs, keep larger steps.

    .. math:: s \leftarrow s + g^2, \quad w \leftarrow w - \eta \, g / (\sqrt s + \epsilon)

    (Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization, 2011, section 1.1, with diagonal matrices.)

    Parameters
    ----------
    epsilon : float, default 1e-10
        Above 0.

    Examples
    --------
    >>> from fastmlp.optimizers import Adagrad
    >>> Adagrad()
    Adagrad(epsilon=1e-10)
    """

    epsilon: float = 1e-10
    default_rate: ClassVar[float] = 0.01

    def __post_init__(self) -> None:
        check_fields(self, epsilon=above_zero)


@final
@dataclass(frozen=True)
class Adam(Optimizer):
    r"""Moving means of the gradient, divided by its moving root mean square.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
              v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \\
              w \leftarrow w - \eta \, \frac{m}{1 - \beta_1^t} \Big/
              \left( \sqrt{\frac{v}{1 - \beta_2^t}} + \epsilon \right)

    Dividing by :math:`1 - \beta^t` corrects the bias of the initial zeros of m and v (Kingma and
    Ba, Adam: A Method for Stochastic Optimization, 2015, algorithm 1).

    Parameters
    ----------
    beta1, beta2 : float, default 0.9 and 0.999
        At least 0 and below 1.
    epsilon : float, default 1e-8
        Above 0.
    epsilon_hat : bool, default False
        Whether epsilon is added to :math:`\sqrt v` before the correction of its bias. This is the
        :math:`\hat\epsilon` at the end of section 2 of the paper, which scikit-learn and TensorFlow
        use:

        .. math:: w \leftarrow w - \eta \, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \,
                  \frac{m}{\sqrt v + \hat\epsilon}

    Examples
    --------
    >>> from fastmlp.optimizers import Adam
    >>> Adam(beta1=0.8)
    Adam(beta1=0.8, beta2=0.999, epsilon=1e-08, epsilon_hat=False)
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = added(False)
    default_rate: ClassVar[float] = 0.001

    def __post_init__(self) -> None:
        check_fields(
            self,
            beta1=from_zero_below_one,
            beta2=from_zero_below_one,
            epsilon=above_zero,
            epsilon_hat=flag,
        )


@final
@dataclass(frozen=True)
class AdamW(Optimizer):
    r"""Adam with decoupled weight decay.

    First :math:`w \leftarrow (1 - \eta \lambda) w`, then the update of `Adam`, with the same
    parameters. :math:`\lambda` is the network's `l2`, which is not added to g here; biases do not
    decay (Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, algorithm 2).

    Examples
    --------
    >>> from fastmlp import MLP
    >>> MLP([2, 2], optimizer="adamw", l2=0.01, random_state=0).optimizer
    AdamW(beta1=0.9, beta2=0.999, epsilon=1e-08)
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
