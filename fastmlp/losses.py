r"""Loss functions.

The loss of a minibatch is :math:`\sum_i w_i L_i / \sum_i w_i`, where :math:`w_i` is the weight of
sample i (1 by default) and :math:`L_i` its loss. The classes below define :math:`L_i` for one
sample: z are the activations of the last layer, t the targets, and sums and means run over the
outputs j = 1 to n_out. Where a derivative does not exist, 0 is used.

The attribute `task` is the kind of targets:

- "classes": multiclass, one int label per sample (n,) or probabilities (n, n_out);
- "labels": binary or multilabel, 0, 1 or a probability for each output (n, n_out);
- "values": regression, real numbers (n, n_out).

Metrics see labels instead of probabilities: the most probable class, or 1 where a probability is
at least 0.5.

`class_weight` gives each class j a weight :math:`w_j`. For a sample with the label y, its weight
:math:`w_i` is multiplied by :math:`w_y`. For a sample with probabilities t, :math:`w_i` is
multiplied by :math:`s = \sum_j w_j t_j`, and t is replaced by :math:`w_j t_j / s`: the sample then
contributes as much as one sample of each class j with the weight :math:`w_i t_j`. (PyTorch's
``CrossEntropyLoss`` has the same terms, but divides by the number of samples if the targets are
probabilities.) The logistic loss with one output has the classes 0 and 1, with the probabilities
1 - t and t.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, final

from fastmlp.argument_types import Task
from fastmlp.core.equations.losses import REDUCTIONS
from fastmlp.options import added, check_fields
from fastmlp.validation.checks import (
    above_zero,
    between_zero_and_one,
    choice,
    flag,
    from_zero_below_one,
)


def _reduction(name: str, value: Any) -> str:
    return choice(name, value, REDUCTIONS)


class Loss(ABC):
    """Base class of the losses: frozen dataclasses, each known by a name in `LOSSES`.

    Examples
    --------
    >>> from fastmlp.losses import Huber, Loss
    >>> isinstance(Huber(), Loss)
    True
    """

    @property
    @abstractmethod
    def task(self) -> Task:
        """The kind of targets: "classes", "labels" or "values"."""


@final
@dataclass(frozen=True)
class Softmax(Loss):
    r"""Cross-entropy for multiclass classification, :math:`-\sum_j t_j \log p_j`.

    The predicted probabilities are :math:`p = \mathrm{softmax}(z)`. With the label y and the
    smoothing e, :math:`t_j = (1 - e) [j = y] + e / n_{out}`; if the targets are probabilities,
    they replace :math:`[j = y]`. The derivative with respect to z is :math:`p - t` (Bishop, Pattern
    Recognition and Machine Learning, 2006, section 4.3.4; label smoothing: Szegedy et al.,
    Rethinking the Inception Architecture for Computer Vision, 2016, section 7).

    Parameters
    ----------
    label_smoothing : float, default 0.0
        The e above, at least 0 and below 1.

    Raises
    ------
    ValueError, TypeError
        If a parameter is invalid, as for all losses.

    Examples
    --------
    >>> from fastmlp.losses import Softmax
    >>> Softmax(label_smoothing=0.1)
    Softmax(label_smoothing=0.1)
    >>> Softmax(label_smoothing=1)
    Traceback (most recent call last):
    ValueError: `label_smoothing` must be at least 0 and below 1, got 1.0.
    """

    label_smoothing: float = 0.0
    task: ClassVar[Task] = "classes"

    def __post_init__(self) -> None:
        check_fields(self, label_smoothing=from_zero_below_one)


@final
@dataclass(frozen=True)
class Logistic(Loss):
    r"""Binary cross-entropy of each output, :math:`\mathrm{mean}(\log(1 + e^z) - t z)`.

    The predicted probabilities are :math:`p = 1 / (1 + e^{-z})`, and the derivative with respect
    to z is :math:`(p - t) / n_{out}` (Bishop, Pattern Recognition and Machine Learning, 2006,
    section 4.3.2). Use one output for binary classification, several for multilabel.

    Parameters
    ----------
    reduction : {"mean", "sum", "mixed"}, default "mean"
        Whether the loss is the mean or the sum over the outputs. "mixed" reports the mean but has
        the derivative of the sum.

    Examples
    --------
    >>> from fastmlp import MLP
    >>> mlp = MLP([2, 8, 1], loss="logistic", learning_rate=0.1, random_state=0)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1]
    >>> mlp.fit(X, y, epochs=100).predict(X).tolist()
    [0, 1, 1, 1]
    """

    reduction: str = added("mean")
    task: ClassVar[Task] = "labels"

    def __post_init__(self) -> None:
        check_fields(self, reduction=_reduction)


@final
@dataclass(frozen=True)
class SquaredError(Loss):
    """The mean of (z - t)**2, without the factor 1/2.

    The derivative with respect to z is 2 (z - t) / n_out. The constant with the smallest loss is
    the mean of the targets.

    Parameters
    ----------
    half : bool, default False
        Whether the loss and its derivative are multiplied by 1/2.
    reduction : {"mean", "sum", "mixed"}, default "mean"
        As for `Logistic`. ``SquaredError(half=True, reduction="mixed")`` is the loss of
        scikit-learn's ``MLPRegressor``.

    Examples
    --------
    >>> from fastmlp import MLP
    >>> mlp = MLP([1, 1], loss="squared_error", optimizer="sgd", learning_rate=0.1, random_state=0)
    >>> float(mlp.fit([[0], [1]], [1, 3], epochs=200).predict([[2]])[0].round(2))
    5.0
    """

    half: bool = added(False)
    reduction: str = added("mean")
    task: ClassVar[Task] = "values"

    def __post_init__(self) -> None:
        check_fields(self, half=flag, reduction=_reduction)


@final
@dataclass(frozen=True)
class AbsoluteError(Loss):
    """The mean of abs(z - t), more robust to outliers than the squared error.

    The derivative with respect to z is sign(z - t) / n_out. The constant with the smallest loss is
    the median of the targets.

    Examples
    --------
    >>> from fastmlp.losses import AbsoluteError
    >>> AbsoluteError().task
    'values'
    """

    task: ClassVar[Task] = "values"


@final
@dataclass(frozen=True)
class Huber(Loss):
    r"""Quadratic near the target, linear far from it: the gradient is at most `delta`.

    With r = z - t, the mean of :math:`r^2 / 2` where :math:`|r| \le \delta` and of
    :math:`\delta (|r| - \delta / 2)` elsewhere (Huber, Robust Estimation of a Location Parameter,
    1964). The derivative with respect to z is r, clipped to :math:`[-\delta, \delta]`, over n_out.

    Parameters
    ----------
    delta : float, default 1.0
        Above 0, in units of the target.

    Examples
    --------
    >>> from fastmlp.losses import Huber
    >>> Huber(delta=2)
    Huber(delta=2.0)
    """

    delta: float = 1.0
    task: ClassVar[Task] = "values"

    def __post_init__(self) -> None:
        check_fields(self, delta=above_zero)


@final
@dataclass(frozen=True)
class Poisson(Loss):
    """The mean of exp(z) - t z, for counts t >= 0; predictions are exp(z).

    The negative log-likelihood of a Poisson distribution with the mean exp(z), without the constant
    log t! (McCullagh and Nelder, Generalized Linear Models, 1989, chapter 6). The derivative with
    respect to z is (exp(z) - t) / n_out.

    Parameters
    ----------
    deviance : bool, default False
        Whether the loss is half the deviance, ``exp(z) - t + t (log t - z)``, which is 0 for a
        perfect prediction. The derivative is the same.
    reduction : {"mean", "sum", "mixed"}, default "mean"
        As for `Logistic`.

    Examples
    --------
    >>> from fastmlp.losses import Poisson
    >>> Poisson().task
    'values'
    """

    deviance: bool = added(False)
    reduction: str = added("mean")
    task: ClassVar[Task] = "values"

    def __post_init__(self) -> None:
        check_fields(self, deviance=flag, reduction=_reduction)


@final
@dataclass(frozen=True)
class Pinball(Loss):
    """The mean of max(q (t - z), (q - 1) (t - z)), for quantile regression.

    The constant with the smallest loss is the q-th quantile of the targets (Koenker and Bassett,
    Regression Quantiles, 1978, section 3). The derivative with respect to z is -q / n_out where
    z < t and (1 - q) / n_out where z > t.

    Parameters
    ----------
    quantile : float, default 0.5
        The q above, above 0 and below 1; for 0.5 the loss is half the absolute error.

    Examples
    --------
    >>> from fastmlp.losses import Pinball
    >>> Pinball(quantile=0.9)
    Pinball(quantile=0.9)
    """

    quantile: float = 0.5
    task: ClassVar[Task] = "values"

    def __post_init__(self) -> None:
        check_fields(self, quantile=between_zero_and_one)


#: The names that users may pass, and what they stand for.
LOSSES: dict[str, type[Loss]] = {
    "softmax": Softmax,
    "logistic": Logistic,
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
    "pinball": Pinball,
}
