"""A network as data: its settings, what training changes, and snapshots of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from fastmlp import random_sources
from fastmlp.core.equations.activations import ACTIVATIONS, RELU
from fastmlp.core.equations.losses import LOSS_CODES, REDUCTIONS, SOFTMAX, Loss, Targets
from fastmlp.core.equations.update_rules import ROWS, RULES
from fastmlp.core.inputs.gather import SparseRows
from fastmlp.core.optimizer_state import OptimizerState, moments_of
from fastmlp.core.run import predict
from fastmlp.core.storage import Network
from fastmlp.initializers import INITIALIZERS
from fastmlp.losses import LOSSES
from fastmlp.messages import must
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.options import to_dict
from fastmlp.parameter_views import ParameterViews
from fastmlp.settings import ARGUMENTS, Settings, settings_that
from fastmlp.training.samples import all_finite, dense_rows

CHECKED_ROWS = 64  # rows of X with which dead units are detected
PREPARING = settings_that("prepares")
LARGE = 10  # larger inputs are probably unscaled


class State:
    """The state of a network: its settings, parameters and everything that training changes.

    Parameters
    ----------
    settings : Settings
    random : RandomState, Generator or None
        The source of random numbers; None is NumPy's global state.
    class_name : str, default "MLP"
        A key of `settings.ARGUMENTS`.

    Attributes
    ----------
    network : Network
        The parameters, zero until `draw_parameters`.
    optimizer : OptimizerState
        The optimizer, its moments and the counts of steps and rows.
    loss : core.equations.losses.Loss
    key : int
        The key of the random numbers for dropout and input noise; 0 until `draw_key`.
    version : int
        How often a setting of `PREPARING` has changed.
    history : dict of lists
        A value for each epoch, by name.
    is_fitted, stop_training : bool
    feature_names : list of str or None
        The columns of the data frame that the network was fitted on, if X was one.
    fit : Fit or None
        The call of fit that is running.
    """

    fit: Any = None

    def __init__(self, settings: Settings, random: Any, class_name: str = "MLP"):
        self.settings, self.random, self.class_name = settings, random, class_name
        self.network = Network(
            settings.layers,
            ACTIVATIONS[settings.output_activation],
            settings.dtype,
            settings.scaling,
            [ACTIVATIONS[name] for name in settings.activation],
            len(moments_of(RULES[to_dict(settings.optimizer, OPTIMIZERS)["name"]])),
        )
        self.optimizer = _optimizer_state(self.network, settings.optimizer)
        self.loss = _kernel_loss(settings.loss)
        self.key = self.version = 0
        self.history: dict[str, list[float]] = {}
        self.is_fitted = self.stop_training = False
        self.feature_names: list[str] | None = None
        self.optimizer.rate = self._rate
        self.optimizer.penalize_per_batch(settings.l2_per_batch)
        self._apply()

    @classmethod
    def new(cls, class_name: str, arguments: dict[str, Any], random_state: Any) -> State:
        """Return the state of a new network, its initial weights drawn."""
        source = random_sources.random_source(random_state)
        settings = ARGUMENTS[class_name].settings(arguments)
        state = cls(settings, None if random_state is None else source, class_name)
        state.draw_parameters()
        return state

    # Settings -----------------------------------------------------------------------------------

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, except random_state, that create this network."""
        return ARGUMENTS[self.class_name].of(self.settings)

    def change(self, **changes: Any) -> None:
        """Change settings: all of them, or none if one is invalid.

        The next step uses them, in a fit that runs as well.
        """
        self.use(dataclasses.replace(self.settings, **changes))
        if self.fit is not None:
            self.draw_key()

    def use(self, settings: Settings) -> None:
        """Take settings that differ in what may be assigned; the next step uses them."""
        before, self.settings = self.settings, settings
        self.optimizer.rate = self._rate
        if any(getattr(before, name) != getattr(settings, name) for name in PREPARING):
            self._apply()
            self.version += 1

    @property
    def _rate(self) -> Any:
        settings = self.settings
        given = settings.learning_rate
        return settings.optimizer.default_rate if given is None else given

    def _apply(self) -> None:
        """Make the next steps use the settings of `PREPARING`."""
        settings = self.settings
        self.network.set_regularization(
            settings.of_layers("l2"),
            settings.of_layers("l1"),
            [_bound(norm) for norm in settings.of_layers("max_norm")],
            [*settings.of_layers("dropout"), 0.0],
        )
        self.optimizer.clip(_bound(settings.clip_norm))
        basic_loss = (self.loss.kind, self.loss.parameter) == (SOFTMAX, 0.0)
        self._has_basic_prediction = basic_loss and self.network.is_simple
        self._has_basic_training = (
            self._has_basic_prediction and self.optimizer.is_basic and settings.input_noise == 0
        )

    # Random numbers -----------------------------------------------------------------------------

    @property
    def source(self) -> Any:
        """The source of random numbers: the module numpy.random, a RandomState or a Generator."""
        return np.random if self.random is None else self.random

    def draw_parameters(self) -> None:
        """Draw initial weights by `init`, set biases to zero, and reset the training state."""
        source, network, init = self.source, self.network, self.settings.init
        if isinstance(init, str):
            for weights in network.weights:
                weights[...] = INITIALIZERS[init](source, *weights.shape)
        else:
            ParameterViews("init", network.weights).assign(init)
        for biases in network.biases:
            biases[...] = 0
        self.optimizer.reset()
        self.key = 0
        self.draw_key()
        self.history, self.is_fitted, self.feature_names = {}, False, None

    def draw_key(self) -> None:
        """Draw the key for dropout and noise, if they are used and it has not been drawn yet."""
        if self.key == 0 and (self.settings.input_noise > 0 or self.network.drops):
            self.key = random_sources.random_key(self.source)

    # What training changes ----------------------------------------------------------------------

    @property
    def rows_seen(self) -> int:
        """The number of rows trained on so far."""
        return self.optimizer.rows_seen

    @rows_seen.setter
    def rows_seen(self, rows: int) -> None:
        self.optimizer.counts[ROWS] = rows

    def arrays(self) -> list[np.ndarray]:
        """Return the parameters and moments, and the counts of steps and rows."""
        return [self.network.trained, self.optimizer.counts]

    @property
    def is_finite(self) -> bool:
        """Whether no parameter and no moment is NaN or infinity."""
        return all_finite(self.network.trained)

    # Predictions --------------------------------------------------------------------------------

    def can_predict_basic(self, targets: Targets | None) -> bool:
        """Whether basic kernels suffice: only identity and relu, and targets are labels."""
        return self._has_basic_prediction and (targets is None or len(targets.labels) > 0)

    def can_train_basic(self, targets: Targets) -> bool:
        """Whether basic kernels suffice for training: SGD without options except l2."""
        return self._has_basic_training and len(targets.labels) > 0

    def outputs(
        self, X: np.ndarray | SparseRows, targets: Targets | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the predicted means for the rows of X, and their losses."""
        loss = None if self.can_predict_basic(targets) else self.loss
        return predict(self.network, X, loss, self.settings.n_threads, targets)

    def is_dead(self, X: np.ndarray | SparseRows) -> bool:
        """Whether X has values above `LARGE` and all units of a hidden relu layer are 0.

        Computed by NumPy: a prediction would compile its kernels.
        """
        network = self.network
        a = dense_rows(X, network, CHECKED_ROWS)
        if np.abs(a).max() <= LARGE:
            return False
        for l, activation in enumerate(network.activations[:-1]):
            if activation != RELU:
                return False
            with np.errstate(over="ignore", invalid="ignore"):  # training says what is not finite
                a = np.maximum(a @ network.weights[l].T + network.biases[l].T, 0)
            if not a.any():
                return True
        return False


def _bound(norm: float | None) -> float:
    return np.inf if norm is None else norm


def _kernel_loss(loss: Any) -> Loss:
    plain = to_dict(loss, LOSSES)
    kind, reduction = LOSS_CODES[plain.pop("name")], REDUCTIONS[plain.pop("reduction", "mean")]
    return Loss(kind, float(next(iter(plain.values()), 0.0)), reduction)


def _optimizer_state(network: Network, optimizer: Any) -> OptimizerState:
    plain = to_dict(optimizer, OPTIMIZERS)
    if network.dtype.type(plain.get("epsilon", 1)) == 0:
        requirement = f"have an epsilon that is above 0 as {network.dtype}"
        raise ValueError(must("optimizer", requirement, f"{plain['epsilon']}"))
    return OptimizerState(
        network,
        RULES[plain["name"]],
        plain.get("momentum", plain.get("beta1", 0.0)),
        plain.get("decay", plain.get("beta2", 0.0)),
        plain.get("epsilon", 0.0),
        plain.get("rate_in_velocity", False),
        not plain.get("epsilon_hat", False),
    )


class Snapshot:
    """A copy of everything that a fit changes in a state.

    Parameters
    ----------
    state : State
        Copied by each `take`, which allocates no array. A fit calls `take_all` before it begins,
        and `take` before each epoch and each long step.
    """

    def __init__(self, state: State):
        self._state = state
        self._copies = [(np.empty_like(array), array) for array in state.arrays()]

    def take(self) -> None:
        """Copy the parameters, the moments and the counts."""
        state = self._state
        for copy, array in self._copies:
            copy[...] = array
        self._position, self._key = state.optimizer.position, state.key

    def take_all(self) -> None:
        """Copy everything, including the history and what callbacks may assign."""
        self.take()
        state = self._state
        self._settings = state.settings
        self._rest = state.is_fitted, state.feature_names, state.stop_training
        self._history = state.history
        self._lengths = {name: len(values) for name, values in state.history.items()}

    def restore(self) -> None:
        """Restore what the last `take` or `take_all` copied."""
        state = self._state
        for copy, array in self._copies:
            array[...] = copy
        state.optimizer.position, state.key = self._position, self._key

    def restore_all(self) -> None:
        """Restore everything that the last `take_all` copied."""
        self.restore()
        state, history = self._state, self._history
        state.use(self._settings)
        state.is_fitted, state.feature_names, state.stop_training = self._rest
        state.history = history
        for name in list(history):
            if name in self._lengths:
                del history[name][self._lengths[name] :]
            else:
                del history[name]
