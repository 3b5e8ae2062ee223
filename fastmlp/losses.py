r"""What a network is trained to make small (floor 4).

The loss of a minibatch is :math:`\sum_i w_i L_i / \sum_i w_i`, the :math:`w_i` being the weights
of the samples (1 where none are given). :math:`L_i` is said below for one sample: z are the last
layer's activations, t the targets, and sums and means run over the outputs j = 1 to n_out.
Where a derivative does not exist, it is taken as 0.

`task` says what the targets are: "classes", an int label (n,) or probabilities (n, n_out);
"labels", 0 or 1 for each output (n, n_out), or a probability; "values", real numbers (n, n_out).
Metrics see a label in place of probabilities: the most probable class, or whether the probability
is at least a half.

`class_weight` gives each class j a weight :math:`w_j`. Of a sample of the class y it is a factor of
its :math:`w_i`. Of probabilities t it is a factor of every term: :math:`w_i` is multiplied by
:math:`s = \sum_j w_j t_j`, and t becomes :math:`w_j t_j / s`, so that a sample does what one sample
of each class does together, with the weights :math:`w_i t_j`. (PyTorch's ``CrossEntropyLoss`` has
the same terms, but divides by the number of samples where targets are probabilities.) The logistic
loss of one output has the classes 0 and 1, with the probabilities 1 - t and t.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from fastmlp.options import check_fields
from fastmlp.typing import Task
from fastmlp.validation.checks import above_zero, between_zero_and_one, from_zero_below_one


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
    r"""Cross-entropy of one of several classes, :math:`-\sum_j t_j \log p_j`.

    :math:`p = \mathrm{softmax}(z)` are the probabilities. With the label y and the smoothing e,
    :math:`t_j = (1 - e) [j = y] + e / n_{out}`; of targets that are probabilities, theirs take the
    place of :math:`[j = y]`. The derivative by z is :math:`p - t`
    (Bishop, Pattern Recognition and Machine Learning, 2006, section 4.3.4; the smoothing is of
    Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, section 7).

    Parameters
    ----------
    label_smoothing : float, default 0.0
        The e above, of at least 0 and below 1.

    Raises
    ------
    ValueError, TypeError
        In one sentence that names the argument, what it must be and what it is. So do all
        losses with parameters.

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
    r"""Cross-entropy of yes or no at each output, :math:`\mathrm{mean}(\log(1 + e^z) - t z)`.

    The probabilities are :math:`p = 1 / (1 + e^{-z})`, the derivative by z is
    :math:`(p - t) / n_{out}` (Bishop, 2006, section 4.3.2). One output tells two classes apart;
    several are labels, of which any number may hold.
    """

    task: ClassVar[Task] = "labels"


@final
@dataclass(frozen=True)
class SquaredError(Loss):
    """The mean of (z - t)**2, without a half, whose best constant is the mean of the targets."""

    task: ClassVar[Task] = "values"


@final
@dataclass(frozen=True)
class AbsoluteError(Loss):
    """The mean of abs(z - t), whose best constant is the median of the targets."""

    task: ClassVar[Task] = "values"


@final
@dataclass(frozen=True)
class Huber(Loss):
    r"""Squared near the target, linear far away: outliers pull no harder than `delta`.

    The mean of :math:`r^2 / 2` where :math:`|r| \le \delta` and of
    :math:`\delta (|r| - \delta / 2)` elsewhere, r being z - t (Huber, Robust Estimation of a
    Location Parameter, 1964).

    Parameters
    ----------
    delta : float, default 1.0
        Above 0, in units of the target.
    """

    delta: float = 1.0
    task: ClassVar[Task] = "values"

    def __post_init__(self) -> None:
        check_fields(self, delta=above_zero)


@final
@dataclass(frozen=True)
class Poisson(Loss):
    """The mean of exp(z) - t z, for counts t >= 0 that are predicted as exp(z).

    The negative log-likelihood of the Poisson distribution of mean exp(z), without log t!, which
    z does not change (McCullagh and Nelder, Generalized Linear Models, 1989, chapter 6).
    """

    task: ClassVar[Task] = "values"


@final
@dataclass(frozen=True)
class Pinball(Loss):
    """The mean of max(q (t - z), (q - 1) (t - z)), whose best constant is the q-th quantile.

    (Koenker and Bassett, Regression Quantiles, 1978, section 3.)

    Parameters
    ----------
    quantile : float, default 0.5
        The q above, between 0 and 1; at 0.5 the loss is half the absolute error.
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
