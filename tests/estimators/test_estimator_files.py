"""Files of estimators: what comes back, and what is refused."""

import io
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

import fastmlp
from fastmlp import MLP, callbacks, losses, optimizers, schedules
from fastmlp.sklearn import MLPClassifier, MLPRegressor, preset
from helpers.model_files import Parts
from helpers.same_bits import assert_same_bits
from helpers.tables import table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"hidden_layer_sizes": (5, 4), "max_iter": 4, "random_state": 0, "n_threads": 1}
X, LABELS = load_iris(return_X_y=True)
FRAME = table(150)
WAVES = {"preset": "tabular", "early_stopping": True}  # otherwise 150 rows have no sines
METADATA = {"target": "species", "dropped": ["id"], "report": {"accuracy": 0.5, "rows": 150}}
#: Attributes that are not saved: caches, and copies of the weights.
NOT_SAVED = {"_best_coefs", "_best_intercepts", "_random_state", "_seeded", "_tied", "_memory"}


def saved(estimator, *metadata):
    file = io.BytesIO()
    estimator.save(file, *metadata)
    return file.getvalue()


def loaded(content, kind=fastmlp):
    return kind.load(io.BytesIO(content))


def numbers_of(estimator):
    return [np.ascontiguousarray(a) for a in (*estimator.coefs_, *estimator.intercepts_)]


def assert_equal(one, other):
    assert type(one) is type(other)
    ours, theirs = ({k: v for k, v in vars(e).items() if k not in NOT_SAVED} for e in (one, other))
    assert set(ours) | {"metadata_"} == set(theirs) | {"metadata_"}
    for name in set(ours) - {"metadata_"}:
        if name in ("encoder_", "_label_binarizer", "random_state", "callbacks"):
            assert type(ours[name]) is type(theirs[name])
        else:
            assert_equal_values(ours[name], theirs[name], name)
    if "encoder_" in ours:
        a, b = one.encoder_, other.encoder_
        assert repr(a) == repr(b) and a.columns_ == b.columns_ and a.n_outputs_ == b.n_outputs_
        assert [list(map(type, c.categories)) for c in a.columns_] == [
            list(map(type, c.categories)) for c in b.columns_
        ]


def assert_equal_values(one, other, name):
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, list):
        assert len(one) == len(other), name
        for a, b in zip(one, other, strict=True):
            assert_equal_values(a, b, name)
    else:
        assert one == other, name
        is_number = isinstance(one, np.generic) and name not in ("target_center_", "target_scale_")
        assert is_number or (type(one) is type(other) and repr(one) == repr(other)), name


# What comes back ----------------------------------------------------------------------------------

CLASSES = {
    "str": np.array(["setosa", "Ünï", "日本"])[LABELS],
    "objects": np.array(["a", "bc", ""], object)[LABELS],
    "bool": LABELS > 0,
    "int": LABELS.astype(np.int16) * 5 - 3,
    "unsigned": LABELS.astype(np.uint8),
    "float": LABELS.astype(np.float32),
    "two": np.array(["x", "y"])[LABELS % 2],
    "one": np.full(150, "only"),
    "multilabel": np.c_[LABELS > 0, LABELS > 1, LABELS == 0].astype(int),
}


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("given", [{}, {"preset": "tabular"}, WAVES, {"solver": "lbfgs"}])
def test_classifiers(name, given):
    y = CLASSES[name]
    rows = FRAME if "preset" in given else X
    model = MLPClassifier(**SMALL | given).fit(rows, y)
    for other in (loaded(saved(model)), loaded(saved(model), MLPClassifier)):
        assert_equal(model, other)
        found = other.predict(rows)
        assert found.dtype == model.predict(rows).dtype
        np.testing.assert_array_equal(found, model.predict(rows))
        assert_same_bits([model.predict_proba(rows)], [other.predict_proba(rows)])
        assert other.score(rows, y) == model.score(rows, y)
        assert_equal(model, loaded(saved(other)))


@pytest.mark.parametrize("y", [X[:, 0], X[:, :2], np.abs(X[:, 1])], ids=["one", "two", "poisson"])
@pytest.mark.parametrize("given", [{}, {"preset": "tabular"}, WAVES, {"solver": "lbfgs"}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_regressors(y, given, dtype):
    rows = FRAME if "preset" in given else X.astype(dtype)
    loss = "poisson" if y is not X and y.ndim == 1 and (y == np.abs(X[:, 1])).all() else None
    model = MLPRegressor(loss or "squared_error", **SMALL | given).fit(rows, y)
    other = loaded(saved(model))
    assert_equal(model, other)
    assert_same_bits([model.predict(rows)], [other.predict(rows)])


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"solver": "sgd", "momentum": 0.0, "learning_rate": "adaptive"},
        {"solver": optimizers.AdamW(0.8), "alpha": 0.1},
        {"learning_rate": schedules.WarmUp(schedules.Cosine(0.01, 100), 7)},
        {"dropout": [0.1, 0.2], "input_noise": 0.1, "activation": ["tanh", "gelu"]},
        {"max_norm": [1.0, None, 2.0], "clip_norm": 1.0, "l1": 0.1},
        {"random_state": np.random.RandomState(7)},
        {"class_weight": {0: 2.0, 1: 1.0, 2: 0.5}, "label_smoothing": 0.1},
        {"hidden_layer_sizes": np.array([3]), "metrics": ["f1", "log_loss"]},
        {"hidden_layer_sizes": np.int64(3), "n_iter_no_change": np.inf, "batch_size": 7},
    ],
    ids=repr,
)
def test_training_goes_on_as_without_a_file(given):
    model = MLPClassifier(**SMALL | given).fit(X, LABELS)
    model.partial_fit(X, LABELS)
    other = loaded(saved(model))
    for name, value in model.get_params().items():
        if name != "random_state":
            assert_equal_values(value, other.get_params()[name], name)
    for _ in range(3):
        model.partial_fit(X, LABELS)
        other.partial_fit(X, LABELS)
    assert_same_bits(numbers_of(model), numbers_of(other))
    assert model.loss_curve_ == other.loss_curve_ and model.t_ == other.t_


@pytest.mark.parametrize("sizes", [range(3, 6), pd.Series([4, 3]), np.array([4, 3], object)])
def test_any_sequence_of_sizes_is_saved(sizes):
    given = {"hidden_layer_sizes": sizes}
    model = MLPClassifier(**SMALL | given).fit(X, LABELS)
    other = loaded(saved(model))
    assert list(other.hidden_layer_sizes) == list(sizes)
    for each in (model, other):
        each.partial_fit(X, LABELS)
    assert_same_bits(numbers_of(model), numbers_of(other))


@pytest.mark.parametrize("given", [{}, {"preset": "tabular"}, {"early_stopping": True}])
def test_a_warm_start_goes_on_as_without_a_file(given):
    rows = FRAME if "preset" in given else X
    model = MLPRegressor(**SMALL | given, warm_start=True).fit(rows, X[:, 0])
    other = loaded(saved(model))
    for each in (model, other):
        each.fit(rows, X[:, 0])
    assert_same_bits(numbers_of(model), numbers_of(other))
    assert_equal(model, other)


@pytest.mark.parametrize(
    "loss", [losses.Huber(0.5), losses.Pinball(0.9), "absolute_error", losses.SquaredError()]
)
def test_losses(loss):
    model = MLPRegressor(loss, **SMALL).fit(X, X[:, 0])
    other = loaded(saved(model))
    assert other.loss == loss and type(other.loss) is type(loss)
    for each in (model, other):
        each.partial_fit(X, X[:, 0])
    assert_same_bits(numbers_of(model), numbers_of(other))


def test_weights_are_tied_and_may_be_assigned():
    model = loaded(saved(MLPClassifier(**SMALL).fit(X, LABELS)))
    before = model.predict_proba(X)
    model.coefs_[0] *= 2
    assert np.abs(model.predict_proba(X) - before).max() > 1e-3
    model.coefs_ = [coefs + 0.5 for coefs in model.coefs_]
    again = loaded(saved(model))
    assert_same_bits([model.predict_proba(X)], [again.predict_proba(X)])


def test_metadata_is_kept(tmp_path):
    model = MLPClassifier(**SMALL).fit(X, LABELS)
    model.save(tmp_path / "model.npz", METADATA)
    other = fastmlp.load(tmp_path / "model.npz")
    assert other.metadata_ == METADATA
    assert loaded(saved(other)).metadata_ == METADATA
    assert loaded(saved(other, {"a": [1, 2.5, None, True, "ü", []]})).metadata_ == {
        "a": [1, 2.5, None, True, "ü", []]
    }
    assert loaded(saved(model)).metadata_ == {}
    assert not hasattr(other.fit(X, LABELS), "metadata_")


def test_models_do_not_change_with_the_preset_of_a_later_release(monkeypatch):
    model = MLPClassifier(**SMALL | {"preset": "tabular"}).fit(FRAME, LABELS)
    found, content, pickled = model.predict_proba(FRAME), saved(model), pickle.dumps(model)
    monkeypatch.setitem(preset.TABULAR, "activation", "gelu")
    for again in (loaded(content), pickle.loads(pickled), model):
        np.testing.assert_array_equal(again.predict_proba(FRAME), found)
        assert again.preset_parameters_["activation"] == "silu"
        again.set_params(warm_start=True, max_iter=1).fit(FRAME, LABELS)
        assert {*again._tied.state.settings.activation} == {"silu"}
        again.set_params(warm_start=False).fit(FRAME, LABELS)
        assert again.preset_parameters_["activation"] == "gelu"


def test_subclasses_load_their_own():
    class Own(MLPClassifier):
        pass

    model = Own(**SMALL).fit(X, LABELS)
    assert type(loaded(saved(model), Own)) is Own
    assert type(loaded(saved(model))) is MLPClassifier


def test_what_a_file_gives_can_be_pickled_and_cloned():
    model = loaded(saved(MLPClassifier(**SMALL, preset="tabular").fit(FRAME, LABELS)))
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict(FRAME), model.predict(FRAME))
    assert clone(model).get_params() == model.get_params()


def test_networks_are_written_as_before():
    file = io.BytesIO()
    MLP([2, 2], random_state=0).save(file)
    assert Parts(file.getvalue()).plain["format_version"] == 3


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"learning_rate": lambda step: 0.1}, "learning_rate"),
        ({"learning_rate": schedules.WarmUp(lambda step: 0.1, 3)}, "learning_rate"),
        ({"callbacks": [callbacks.TerminateOnNaN()]}, "callbacks"),
        ({"metrics": lambda y, outputs: 0.0}, "metrics"),
    ],
)
def test_what_cannot_be_saved_is_refused_by_name_before_anything_is_written(given, name, tmp_path):
    model = MLPClassifier(**SMALL | given).fit(X, LABELS)
    (tmp_path / "model.npz").write_bytes(b"old")
    with pytest.raises(TypeError, match=f"^`{name}` must be numbers, text or options of fastmlp"):
        model.save(tmp_path / "model.npz")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    "wrong", [{"a": object()}, {"a": np.ones(3)}, {1: 2}, [1], {"a": {"b": (1, {2})}}, "text"]
)
def test_other_metadata_is_refused(wrong, tmp_path):
    model = MLPClassifier(**SMALL).fit(X, LABELS)
    with pytest.raises((TypeError, ValueError), match=r"^`metadata[\w.]*` must (be|have) "):
        model.save(tmp_path / "model.npz", wrong)
    assert not list(tmp_path.iterdir())


def test_it_must_be_fitted():
    with pytest.raises(NotFittedError):
        MLPClassifier().save(io.BytesIO())


def test_other_classes_are_refused(tmp_path):
    path = tmp_path / "model.npz"
    MLPRegressor(**SMALL).fit(X, X[:, 0]).save(path)
    for kind in (MLPClassifier, MLP, fastmlp.NeuralNet):
        message = f"^`path` must hold a network of class {kind.__name__}, got MLPRegressor in "
        with pytest.raises(ValueError, match=message):
            kind.load(path)
    MLP([2, 2]).save(path)
    with pytest.raises(ValueError, match="^`path` must hold a network of class MLPRegressor, got"):
        MLPRegressor.load(path)
    MLPRegressor(**SMALL).fit(X, X[:, 0]).save(path)
    with pytest.raises(ValueError, match="^`path` must be a checkpoint of a fit, got "):
        MLP([4, 2]).fit(X, LABELS % 2, resume=path)


# Files that are not trusted -----------------------------------------------------------------------

PLACES = [
    ("layers", [[26, 5, 3], [4], [4, 0, 3], "layers", None, [4.0, 5, 4, 3]]),
    ("dtype", ["float16", "float64", None]),
    ("parameters.activation", ["no", 3, {"array": 3}, {"what": 1}, {"loss": {"name": "huber"}}]),
    ("parameters.alpha", [-1.0, "a", None, {"random_state": {}}]),
    ("parameters.random_state", [-3, "a", {"random_state": {"kind": "RandomState", "state": 3}}]),
    ("parameters.preset", ["other", 3]),
    ("parameters.hidden_layer_sizes", [[[3]], ["a"], [0], [1.5], 10**30, {"tuple": [None]}]),
    ("parameters.class_weight", ["foo", 3, {"dict": [["a", float("nan")]]}, {"dict": [["a", -1]]}]),
    ("parameters.metrics", [0.5, "other", ["r2"], True]),
    ("parameters.callbacks", [True, [3], ["a"]]),
    ("parameters.unknown", [3]),
    ("n_features", [0, 3, "18", None]),
    ("feature_names", [["a"], [3] * 18, ["a"] * 18, "a" * 18]),
    ("out_activation", ["logistic", "identity", 3]),
    ("targets", [None, {}, {"kind": "binary"}]),
    ("targets.kind", ["binary", "multilabel", None]),
    ("targets.classes", [["b", "a", "c"], ["a", "a", "b"], ["a", "b"], [1, 2, 3], None]),
    ("targets.sparse", [1, None]),
    ("records.loss_curve_", [["a"], 3, [None]]),
    ("records.n_iter_", [-1, 2.5, None, "3"]),
    ("records.coefs_", [[1]]),
    ("solver.rule", [{"name": "sgd"}, {"name": "adam", "beta1": 2}, {}, None, 3]),
    ("solver.schedule", ["other", {"schedule": {"name": "cosine"}}, 3, None]),
    ("solver.rate", [-1, "a", None]),
    ("descent.taken", [-1, 2**70]),
    ("seen", [-1]),
    ("key", [2**64]),
    ("moments", [{}, None]),
    ("encoder", [None, 3, {}]),
    ("encoder.columns", [[], None, [3]]),
    ("encoder.columns.0.kind", ["empty", "category", "date", None]),
    ("encoder.columns.0.scale", [-1.0, None, float("inf"), float("nan")]),
    ("encoder.columns.0.centre", [float("nan"), "a"]),
    ("encoder.columns.0.has_missing", [True, 1]),
    ("encoder.columns.0.categories", [["a"], None]),
    ("encoder.columns.7.categories", [[], [True, False], [0, 1]]),
    ("encoder.columns.10.categories", [["a"] * 5, [1, 2, 3, 4, "a"], ["a", "b"], [None] * 5]),
    ("encoder.parameters.max_absolute_value", [0, -1, "a", None]),
    ("encoder.parameters.dtype", ["float16", "object", None, 3]),
    ("encoder.parameters.quantile_range", [[90, 10], ["a", None], [], [1, 2, 3], 3]),
    ("encoder.parameters.min_frequency", [0, "a"]),
    ("preset", [None, 3, {"what": 1}, {"activation": 3}, {"hidden_layer_sizes": [0]}]),
    ("metadata", [None, [1]]),
]


@pytest.fixture(scope="module")
def content():
    return saved(MLPClassifier(**SMALL | {"preset": "tabular"}).fit(FRAME, CLASSES["objects"]))


@pytest.mark.parametrize(("place", "values"), PLACES, ids=[place for place, _ in PLACES])
def test_invalid_values_in_files_are_refused(content, place, values):
    for value in values:
        with pytest.raises(ValueError, match=r"^`path` must be (a network|an estimator) saved by"):
            loaded(Parts(content).change(place, value).content())


@pytest.mark.parametrize("preset", [None, "tabular"])
@pytest.mark.parametrize("name", ["squared_error", "poisson"])
def test_a_loss_for_other_outputs_is_refused(name, preset):
    model = MLPRegressor(name, **SMALL, preset=preset).fit(X, X[:, 0])
    parts = Parts(saved(model))
    wrong = "poisson" if name == "squared_error" else "squared_error"
    for loss in (wrong, {"loss": {"name": "softmax"}}):
        with pytest.raises(ValueError, match=r"^`path` must be an estimator saved by"):
            loaded(Parts(saved(model)).change("parameters.loss", loss).content())
    loaded(parts.content())
    model.loss = wrong
    with pytest.raises(ValueError, match="^`loss` must be one for the outputs of the last fit"):
        saved(model)


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"a": x}])
def test_metadata_that_is_nested_too_deeply_is_refused(wrap, tmp_path):
    model = MLPClassifier(**SMALL).fit(X, LABELS)

    def nested(levels, value=1):
        for _ in range(levels):
            value = wrap(value)
        return {"a": value}

    assert loaded(saved(model, nested(98))).metadata_ == nested(98)
    for levels in (99, 3000):
        with pytest.raises(ValueError, match="^`metadata` must have at most 100 levels"):
            model.save(tmp_path / "model.npz", nested(levels))
    with pytest.raises(TypeError, match=r"^`metadata\.a.* must be a number, text"):
        model.save(tmp_path / "model.npz", nested(90, object()))
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_only_written_again_is_accepted(content):
    plain = Parts(content).plain
    other = loaded(Parts(content).content())
    np.testing.assert_array_equal(other.predict(FRAME), loaded(content).predict(FRAME))
    assert json.dumps(plain["metadata"]) == "{}"


def test_arrays_of_other_shapes_types_and_values_are_refused(content):
    names = [name for name in Parts(content).arrays if name != "network"]
    assert len(names) >= 12
    for name in names:
        array = Parts(content).arrays[name]
        others = [array[:-1], np.full(array.shape, "a"), array.astype(bytes)]
        if array.dtype.kind == "f":
            wrong = array.copy()
            wrong.flat[0] = np.nan
            others += [wrong, array.astype(np.float64), array[..., None]]
        for other in others:
            parts = Parts(content)
            parts.arrays[name] = other
            with pytest.raises(ValueError, match="^`path` must be "):
                loaded(parts.content())


def test_names_in_a_file_are_those_of_the_new_table(content):
    model = loaded(content)
    with pytest.raises(ValueError, match="got no column 'text', the new column 'txt'"):
        model.predict(FRAME.rename(columns={"text": "txt"}))
    assert model.predict(pd.DataFrame(FRAME[FRAME.columns[::-1]])).shape == (150,)
