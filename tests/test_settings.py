"""An assigned setting takes full effect at the next step, or is refused."""

import copy
import dataclasses
import inspect
import pickle
import threading

import numpy as np
import pytest

from fastmlp import MLP, NeuralNet, callbacks, losses, optimizers, schedules, settings
from fastmlp.core import pace
from helpers.same_bits import bits_of

SIZES = [6, 140, 5, 3]  # wider than the 128 sums of a norm
FIXED = {
    "layers": [2, 2],
    "num_layers": 2,
    "activation": "tanh",
    "output_activation": "tanh",
    "loss": losses.Softmax(0.1),
    "optimizer": optimizers.SGD(),
    "l2_per_batch": True,
    "dtype": "float64",
    "input_shift": 1.0,
    "input_scale": 2.0,
    "feature_names_in_": ["a"],
    "random_state": 3,
    "init": "zeros",
}
#: Settings of `MLP`: valid and invalid values.
ASSIGNABLE = {
    "learning_rate": (0.25, -1),
    "l2": (0.5, [0.1]),
    "l1": ([0.1, 0.0, 0.3], "some"),
    "max_norm": (0.5, 0),
    "clip_norm": (0.001, -1),
    "dropout": ([0.5, 0.0], 1.0),
    "input_noise": (0.5, np.nan),
    "n_threads": (1, 0),
    "rate_factor": (0.5, -1),
}


class At(callbacks.Callback):
    """Calls a function with the model in a hook of one epoch."""

    def __init__(self, hook, epoch, function):
        setattr(self, hook, lambda n, logs=None: function(self.model) if n == epoch else None)


@pytest.fixture
def data(make_data):
    return make_data(SIZES, 90)


def test_the_settings_are_the_arguments_of_an_mlp():
    arguments = dict(inspect.signature(MLP).parameters)
    del arguments["random_state"]
    fields = {field.name: field for field in dataclasses.fields(settings.Settings)}
    assert list(fields) == list(arguments)
    for name in set(fields) - {"layers"}:
        assert fields[name].default == arguments[name].default
    for use in settings.Use._fields:
        assert settings.settings_that(use) < fields.keys()


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("kind", [MLP, NeuralNet])
def test_fixed_settings_cannot_be_assigned(kind, name, data):
    net = kind(SIZES, random_state=0)
    before = repr(net)
    if name in ("num_layers", "feature_names_in_"):
        message = "\\.$"
    elif name in inspect.signature(kind).parameters:
        message = f": create a new {kind.__name__} with another `{name}`\\.$"
    else:
        message = " to a NeuralNet: use an MLP\\.$"
    with pytest.raises(AttributeError, match=f"^`{name}` cannot be assigned{message}"):
        setattr(net, name, FIXED[name])
    assert repr(net) == before
    net.fit(*data, epochs=1)


@pytest.mark.parametrize("name", [*ASSIGNABLE, "warm_start"])
def test_a_neural_net_has_no_more_than_it_takes(name):
    net = NeuralNet(SIZES, random_state=0)
    if name in ("learning_rate", "n_threads", "rate_factor"):
        setattr(net, name, ASSIGNABLE[name][0])
        assert getattr(net, name) == ASSIGNABLE[name][0]
    else:
        with pytest.raises(AttributeError, match=f"^`{name}` cannot be assigned to a NeuralNet"):
            setattr(net, name, ASSIGNABLE.get(name, (False,))[0])
    with pytest.raises(TypeError, match="^`learning_rate`"):
        net.learning_rate = schedules.Constant(0.1)
    net.reg_lambda = 0.25
    assert net.reg_lambda == net.l2 == 0.25 and "reg_lambda=0.25" in repr(net)


@pytest.mark.parametrize("name", ASSIGNABLE)
def test_a_refused_assignment_changes_nothing(name, data):
    good, bad = ASSIGNABLE[name]
    mlp = MLP(SIZES, random_state=0)
    setattr(mlp, name, good)
    before = repr(mlp)
    with pytest.raises((ValueError, TypeError), match=f"^`{name}"):
        setattr(mlp, name, bad)
    assert repr(mlp) == before
    other = MLP(SIZES, random_state=0)
    setattr(other, name, good)
    assert bits_of(mlp.fit(*data, epochs=1)) == bits_of(other.fit(*data, epochs=1))


@pytest.mark.parametrize("name", [n for n in ASSIGNABLE if n != "n_threads"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_assignment_is_as_if_made_with_it(name, optimizer, data):
    """Before the first fit; between two; and by a callback, before and after an epoch."""
    value = ASSIGNABLE[name][0]
    start = {"optimizer": optimizer, "random_state": np.random.RandomState(0), "activation": "tanh"}

    def made(**options):
        return MLP(SIZES, **start | {"random_state": np.random.RandomState(0)} | options)

    def assign(model):
        setattr(model, name, value)

    split = made()
    split.fit(*data, epochs=1)
    assign(split)
    split.fit(*data, epochs=2)
    for hook, epoch in (("on_epoch_end", 0), ("on_epoch_begin", 1)):
        by_callback = made().fit(*data, epochs=3, callbacks=[At(hook, epoch, assign)])
        assert bits_of(by_callback) == bits_of(split)
    plain = made().fit(*data, epochs=3)
    assert bits_of(plain) != bits_of(split)
    if name != "rate_factor":
        assigned = made()
        assign(assigned)
        assert bits_of(assigned.fit(*data, 2)) == bits_of(made(**{name: value}).fit(*data, 2))


@pytest.mark.parametrize("name", ["learning_rate", "l2", "l1", "clip_norm", "max_norm", "dropout"])
def test_an_assignment_within_an_epoch_holds_from_the_next_run(name, data, monkeypatch):
    """Basic kernels give way to those with all options within an epoch, with the right masks."""
    monkeypatch.setattr(pace, "MOST_STEPS", 1)  # a run is a step
    value = {"learning_rate": 0.0}.get(name, ASSIGNABLE[name][0])
    X, y = data

    def made():
        return MLP(SIZES, optimizer="sgd", random_state=np.random.RandomState(0))

    at = At("on_train_batch_end", 1, lambda model: setattr(model, name, value))
    mlp = made().fit(X, y, epochs=1, batch_size=30, shuffle=False, callbacks=[at])
    other = made().fit(X[:60], y[:60], epochs=1, batch_size=30, shuffle=False)
    setattr(other, name, value)
    other.partial_fit(X[60:], y[60:], batch_size=30, shuffle=False)
    assert bits_of(mlp) == bits_of(other)


def test_noise_that_is_assigned_over_sparse_rows_is_refused(data):
    import scipy.sparse

    mlp = MLP(SIZES, random_state=0)
    at = At("on_epoch_end", 0, lambda model: setattr(model, "input_noise", 0.1))
    with pytest.raises(
        ValueError, match="^`X` must be dense if `input_noise` is not 0, got a sparse"
    ):
        mlp.fit(scipy.sparse.csr_matrix(data[0]), data[1], epochs=2, callbacks=[at])


@pytest.mark.parametrize("kind", [MLP, NeuralNet])
def test_copies_have_what_was_assigned(kind, data, tmp_path):
    net = kind(SIZES, random_state=0)
    net.learning_rate = 0.125
    if kind is MLP:
        net.l2, net.dropout, net.max_norm = [0.1, 0.2, 0.3], 0.25, 2.0
    net.fit(*data, epochs=1)
    net.save(tmp_path / "net.npz")
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), kind.load(tmp_path / "net.npz")]
    net.fit(*data, epochs=1)
    for each in copies:
        assert repr(each) == repr(net)
        assert bits_of(each.fit(*data, epochs=1)) == bits_of(net)


def test_a_subclass_with_a_constructor_of_its_own_has_a_repr():
    class Small(MLP):
        def __init__(self, n):
            super().__init__([n, 2], activation="relu", l2=0.5, random_state=0)

    assert repr(Small(3)) == "Small([3, 2], l2=0.5)"


@pytest.mark.parametrize("kind", [MLP, NeuralNet])
@pytest.mark.parametrize(
    "options",
    ["", "input_scale=0.0625", "input_shift=2.0, input_scale=0.5", "dtype='float16'"],
)
def test_repr_is_the_shortest_call(kind, options):
    other = "float64" if kind is MLP else "float32"
    options = options.replace("float16", other)
    call = f"{kind.__name__}([3, 2]{options and ', '}{options})"
    assert repr(eval(call)) == call
    default = np.dtype(inspect.signature(kind).parameters["dtype"].default).name
    assert repr(kind([3, 2], dtype=default, input_scale=np.ones(3))) == f"{kind.__name__}([3, 2])"


def test_the_scaling_that_an_attribute_returns_is_read_only():
    mlp = MLP([3, 2], input_scale=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="read-only"):
        mlp.input_scale[0] = 9


@pytest.mark.parametrize("name, value", [("history_", 5), ("history_", {"loss": 1.0})])
def test_a_history_that_cannot_be_extended_is_refused(name, value):
    mlp = MLP([3, 2])
    with pytest.raises(TypeError, match="^`history_` must be a dict of lists, got"):
        mlp.history_ = value
    with pytest.raises(ValueError, match="^`stop_training` must be True or False, got 'no'"):
        mlp.stop_training = "no"
    assert mlp.history_ == {} and mlp.stop_training is False


@pytest.mark.parametrize("resumes", [False, True])
def test_an_error_before_the_first_step_restores_settings(resumes, data, tmp_path):
    """Those that callbacks had assigned, in this fit or before the checkpoint was written."""
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "mlp.npz")
    value = {name: good for name, (good, _) in ASSIGNABLE.items()}
    assigns = At("on_epoch_begin", 0, lambda model: [setattr(model, n, value[n]) for n in value])
    MLP(SIZES, random_state=0).fit(*data, epochs=1, callbacks=[assigns, checkpoint])

    def fails(model):
        if resumes:
            assert model.l2 == value["l2"]
        raise RuntimeError("too early")

    mlp, other = (MLP(SIZES, random_state=0) for _ in range(2))
    begins = [At("on_epoch_begin", int(resumes), fails)]
    if not resumes:
        begins.insert(0, assigns)
    with pytest.raises(RuntimeError, match="too early"):
        mlp.fit(*data, epochs=2, callbacks=[*begins, checkpoint], resume=resumes)
    assert repr(mlp) == repr(other) and mlp.rate_factor == 1
    assert bits_of(mlp.fit(*data, epochs=1)) == bits_of(other.fit(*data, epochs=1))


def test_a_warm_up_of_a_function_is_kept(data, tmp_path):
    def rate(step):
        return 0.125 / (1 + step)

    mlp = MLP(SIZES, learning_rate=schedules.WarmUp(rate, 4), random_state=0)
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "mlp.npz")
    mlp.fit(*data, epochs=1, callbacks=[checkpoint])  # three of the four steps
    assert MLP.load(tmp_path / "mlp.npz").learning_rate == 0.125  # for the next step
    copied = copy.deepcopy(mlp)
    assert copied.learning_rate == mlp.learning_rate
    assert bits_of(copied.fit(*data, epochs=1)) == bits_of(mlp.fit(*data, epochs=1))


@pytest.mark.usefixtures("eight_processors")
def test_threads_that_are_assigned_train_from_the_next_run_on(data, monkeypatch):
    monkeypatch.setattr(pace, "MOST_STEPS", 1)
    workers = []

    class Assigns(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            workers.append(len(self.model._state.fit.trainer._sized.work.status))
            self.model.n_threads = batch + 2

    mlp = MLP(SIZES, n_threads=1, random_state=0)
    mlp.fit(*data, epochs=1, batch_size=30, callbacks=[Assigns()])
    assert workers == [1, 2, 3] and mlp.n_threads == 4
    assert bits_of(mlp) == bits_of(MLP(SIZES, random_state=0).fit(*data, 1, 30))


@pytest.mark.parametrize("name", [n for n in ASSIGNABLE if n != "n_threads"])
def test_a_resumed_fit_has_what_a_callback_had_assigned(name, data, tmp_path):
    value = ASSIGNABLE[name][0]

    def fit(epochs, kind=MLP, attribute=name, resume=None, **options):
        mlp = kind(SIZES, random_state=np.random.RandomState(0), **options)
        calls = [
            At("on_epoch_begin", 1, lambda model: setattr(model, attribute, value)),
            callbacks.ModelCheckpoint(tmp_path / "mlp.npz"),
        ]
        return mlp.fit(*data, epochs=epochs, callbacks=calls, resume=resume)

    whole = fit(4)
    fit(2)
    assert bits_of(fit(4, resume=True)) == bits_of(whole)
    # An explicit value is kept.
    fit(2, dropout=0.25)
    other = fit(4, resume=True, l2=0.125, dropout=0.25)
    assert (other.l2, other.dropout) == (0.125, value if name == "dropout" else 0.25)
    if name == "l2":
        whole = fit(4, NeuralNet, "reg_lambda")
        fit(2, NeuralNet, "reg_lambda")
        assert bits_of(fit(4, NeuralNet, "reg_lambda", True)) == bits_of(whole)


# One fit at a time -------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end", "on_train_end"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_fit_inside_a_callback_is_refused(hook, method, data):
    class Nested(callbacks.Callback):
        pass

    setattr(Nested, hook, lambda self, *_: getattr(self.model, method)(*data))
    mlp = MLP(SIZES, random_state=0)
    with pytest.raises(RuntimeError, match="is already being trained: fit cannot be called by"):
        mlp.fit(*data, epochs=1, callbacks=[Nested()])
    mlp.fit(*data, epochs=1)  # and can be fitted again afterwards


def test_two_fits_at_once_are_refused(data):
    mlp, begun, go, errors = MLP(SIZES, random_state=0), threading.Event(), threading.Event(), []

    class Waits(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            begun.set()
            go.wait(200)

    thread = threading.Thread(
        target=lambda: mlp.fit(*data, epochs=1, callbacks=[Waits()]), daemon=True
    )
    thread.start()
    begun.wait(200)
    for call in (mlp.fit, mlp.partial_fit):
        try:
            call(*data)
        except RuntimeError as error:
            errors.append(error)
    before = mlp.predict(data[0])  # predictions are allowed
    go.set()
    thread.join(30)
    assert len(errors) == 2 and len(before) == 90 and len(mlp.history_["loss"]) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_callback_that_cannot_be_closed_leaves_the_network_free(error, data):
    closed = []

    class Closes(callbacks.Callback):
        def __init__(self, fails):
            self.fails = fails

        def close(self):
            closed.append(self.fails)
            if self.fails:
                raise error

    mlp = MLP(SIZES, random_state=0)
    with pytest.raises(error):
        mlp.fit(*data, epochs=1, callbacks=[Closes(True), Closes(False)])
    assert closed == [True, False]
    mlp.fit(*data, epochs=1)


def test_initial_weights_that_are_not_finite_are_refused():
    wrong = [np.zeros((n_out, n_in)) for n_in, n_out in zip(SIZES, SIZES[1:], strict=False)]
    wrong[1][2, 3] = np.nan
    with pytest.raises(ValueError, match=r"^`init\[1\]` must be finite, got NaN or infinity"):
        MLP(SIZES, init=wrong)


def test_an_assigned_rate_makes_no_new_workspace(data, monkeypatch):
    monkeypatch.setattr(pace, "MOST_STEPS", 1)
    rooms = set()

    class Assigns(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rooms.add(id(self.model._state.fit.trainer._sized.work))
            self.model.learning_rate = 0.01 / (batch + 1)

    MLP(SIZES, random_state=0).fit(*data, epochs=2, callbacks=[Assigns()])
    assert len(rooms) == 1
