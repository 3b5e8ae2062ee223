"""Metrics, compared with values worked out by hand and with scikit-learn."""

import functools
import math

import numpy as np
import pytest

from fastmlp.metrics import METRICS, Metric, chosen_metrics, top_k

TASKS = ("classes", "labels", "values")

#: Four samples of three classes; predicted are 0, 1, 1, 2 (the first of the equal ones).
CLASSES = np.array([0, 1, 0, 1])
PROBABILITIES = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0, 1, 0], [0.25, 0.25, 0.5]])
#: Four samples of two labels; predicted are 1 0, 1 1, 0 1, 0 0.
LABELS = np.array([[1, 0], [1, 0], [1, 0], [0, 0]])
OF_LABELS = np.array([[0.5, 0.25], [0.75, 0.5], [0.25, 0.5], [0.25, 0.25]])
VALUES = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
OF_VALUES = np.array([[1.0, 15.0], [2.0, 20.0], [0.0, 25.0]])


@pytest.mark.parametrize(
    ("name", "targets", "outputs", "expected"),
    [
        ("accuracy", CLASSES, PROBABILITIES, 2 / 4),
        ("balanced_accuracy", CLASSES, PROBABILITIES, (1 / 2 + 1 / 2) / 2),
        # 2 * right / (true + predicted): 2 / 3, 2 / 4 and 0 / 1.
        ("f1", CLASSES, PROBABILITIES, (2 / 3 + 2 / 4 + 0) / 3),
        ("f1", np.array([0, 1, 1, 1]), np.eye(2)[[0, 0, 1, 1]], 2 * 2 / (3 + 2)),
        ("f1", np.array([0, 0]), np.eye(2)[[0, 0]], 0),
        ("f1", np.array([0, 2]), np.eye(5)[[0, 2]], 1),
        ("accuracy", LABELS, OF_LABELS, 2 / 4),
        # 2 of 3 and 1 of 1; 0 of 0 (left out) and 2 of 4.
        ("balanced_accuracy", LABELS, OF_LABELS, ((2 / 3 + 1) / 2 + 2 / 4) / 2),
        ("f1", LABELS, OF_LABELS, (4 / 5 + 0) / 2),
        ("log_loss", np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]]), math.log(8) / 2),
        ("log_loss", np.array([[1, 0]]), np.array([[0.5, 0.75]]), math.log(8) / 2),
        ("top_k_accuracy", np.array([0, 7]), np.array([np.arange(8.0)] * 2), 1 / 2),
        ("r2", VALUES, OF_VALUES, (1 - 9 / 2 + 1 - 50 / 200) / 2),
        ("mae", VALUES, OF_VALUES, (3 + 10) / 6),
        ("rmse", VALUES, OF_VALUES, (math.sqrt(9 / 3) + math.sqrt(50 / 3)) / 2),
        ("r2", np.ones((3, 1)), np.ones((3, 1)), 1),
        ("r2", np.ones((3, 1)), np.array([[1.0], [1.0], [2.0]]), 0),
    ],
)
def test_worked_by_hand(name, targets, outputs, expected):
    assert METRICS[name](targets, outputs) == pytest.approx(expected, rel=1e-15)
    assert METRICS[name](targets, outputs.astype(np.float32)) == pytest.approx(expected, rel=1e-15)


def test_of_equal_probabilities_the_first_come_first():
    equal = np.full((3, 3), 1 / 3)
    assert [top_k(k)([0, 0, 2], equal) for k in (1, 2, 3, 4)] == [2 / 3, 2 / 3, 1, 1]
    assert METRICS["accuracy"]([0, 0, 2], equal) == 2 / 3


@pytest.mark.parametrize(
    ("dtype", "most"), [(np.float32, -math.log(2**-23)), (np.float64, -math.log(2**-52))]
)
def test_log_loss_is_finite(dtype, most):
    log_loss = METRICS["log_loss"]
    certain = np.array([[0, 1]], dtype)
    assert log_loss([0], certain) == log_loss([[1, 0]], certain) == pytest.approx(most, rel=1e-15)
    assert 0 < log_loss([1], certain) == pytest.approx(np.finfo(dtype).eps)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("targets", "outputs", "wrong", "given"),
    [
        # What NumPy would broadcast, or fail on in its own words.
        ([0, 1], [[0.5, 0.5]], "targets", r"\(2,\)"),
        ([[1.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]], "targets", r"\(1, 2\)"),
        (np.zeros((2, 1, 1)), np.zeros((2, 1)), "targets", r"\(2, 1, 1\)"),
        ([0, 1], [0.5, 0.5], "outputs", r"\(2,\)"),
    ],
)
def test_shapes_that_do_not_fit(name, targets, outputs, wrong, given):
    with pytest.raises(ValueError, match=rf"^`{wrong}` must have shape \(.*, got {given}\."):
        METRICS[name](targets, outputs)


def test_values_need_columns():
    for name in ("r2", "mae", "rmse"):
        with pytest.raises(ValueError, match=r"^`targets` must have shape \(3, 1\), to "):
            METRICS[name]([1.0, 2.0, 3.0], [[1.0], [2.0], [3.0]])  # else 3 x 3 differences


def test_integers_for_probabilities():
    assert METRICS["log_loss"]([0, 1], [[1, 0], [0, 1]]) == pytest.approx(2**-52)


def samples(task, n_out, n=200):
    """Return targets and outputs of a mediocre network for the task."""
    random = np.random.default_rng(n_out)
    if task == "values":
        targets = random.standard_normal((n, n_out)) * 10
        return targets, targets + random.standard_normal((n, n_out)) * 5
    if task == "labels":
        targets = (random.random((n, n_out)) < 0.4).astype(np.int64)
        return targets, (targets + random.random((n, n_out)) * 2) / 3
    # The last class has no samples, but is predicted for some.
    targets = random.integers(0, max(n_out - 1, 2), n)
    z = 2 * np.eye(n_out)[targets] + random.standard_normal((n, n_out))
    return targets, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def of_scikit_learn(name, task, targets, p, w):
    """Return the metric computed with scikit-learn."""
    skl = pytest.importorskip("sklearn.metrics")
    n_out, columns = p.shape[1], range(p.shape[1])
    if task == "values":
        function = {"r2": skl.r2_score, "mae": skl.mean_absolute_error}.get(name)
        return (function or skl.root_mean_squared_error)(targets, p, sample_weight=w)
    predicted = p.argmax(axis=1) if task == "classes" else (p >= 0.5).astype(np.int64)
    if name == "accuracy":
        return skl.accuracy_score(targets, predicted, sample_weight=w)
    if name == "f1":
        binary = n_out == (2 if task == "classes" else 1)
        return skl.f1_score(
            targets, predicted, average="binary" if binary else "macro", sample_weight=w
        )
    if name == "top_k_accuracy":
        return skl.top_k_accuracy_score(targets, p, k=5, labels=columns, sample_weight=w)
    if name == "log_loss" and task == "classes":
        return skl.log_loss(targets, p, labels=columns, sample_weight=w)
    if name == "log_loss":
        return np.mean([skl.log_loss(targets[:, j], p[:, j], sample_weight=w) for j in columns])
    if task == "labels":
        balanced = functools.partial(skl.balanced_accuracy_score, sample_weight=w)
        return np.mean([balanced(targets[:, j], predicted[:, j]) for j in columns])
    matrix = skl.confusion_matrix(targets, predicted, sample_weight=w)
    occurs = matrix.sum(axis=1) > 0
    return (matrix.diagonal()[occurs] / matrix.sum(axis=1)[occurs]).mean()


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "task", "n_out"),
    [
        (name, task, n_out)
        for name, metric in METRICS.items()
        for task in metric.tasks
        for n_out in ((6, 9) if name == "top_k_accuracy" else (2, 3, 7))
    ]
    + [(name, "labels", 1) for name in METRICS if "labels" in METRICS[name].tasks],
)
def test_the_numbers_of_scikit_learn(name, task, n_out, is_weighted):
    targets, outputs = samples(task, n_out)
    weight = np.random.default_rng(0).exponential(size=len(targets)) if is_weighted else None
    expected = of_scikit_learn(name, task, targets, outputs, weight)
    assert METRICS[name](targets, outputs, weight) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "task"), [(name, task) for name in METRICS for task in METRICS[name].tasks]
)
def test_a_weight_is_so_many_copies(name, task):
    targets, outputs = samples(task, 7, n=40)
    weight = np.random.default_rng(0).integers(0, 4, 40)
    copies = np.repeat(np.arange(40), weight)
    expected = METRICS[name](targets[copies], outputs[copies])
    for dtype in (np.int64, np.float32, np.float64):
        assert METRICS[name](targets, outputs, weight.astype(dtype)) == pytest.approx(expected)


def test_the_direction_is_that_of_better_outputs():
    for name, metric in METRICS.items():
        for task in metric.tasks:
            targets, outputs = samples(task, 7)
            perfect = np.eye(7)[targets] if task == "classes" else targets.astype(np.float64)
            gained = metric(targets, perfect) - metric(targets, outputs)
            assert (gained > 0) == metric.greater_is_better, name


def test_metrics_after_divergence():
    nan = np.full((3, 7), np.nan)
    for name, metric in METRICS.items():
        for task in metric.tasks:
            targets = np.array([1, 2, 3]) if task == "classes" else np.ones((3, 7))
            value = metric(targets, nan)
            assert math.isnan(value) or value == 0, name
    for name in ("r2", "rmse", "mae"):
        with np.errstate(all="raise"):
            assert math.isinf(METRICS[name](np.arange(3.0)[:, None], np.full((3, 1), 1e200))) or (
                name == "mae"
            )


# Names and functions -----------------------------------------------------------------------------


def names(metrics, task):
    return [metric.name for metric in chosen_metrics(metrics, task)]


def test_by_name():
    assert names(None, "classes") == names(None, "labels") == ["accuracy"]
    assert names(None, "values") == names((), "classes") == []
    assert names("r2", "values") == ["r2"]
    assert names(("f1", top_k(3), "accuracy"), "classes") == ["f1", "top_3_accuracy", "accuracy"]
    assert chosen_metrics(iter(["f1"]), "labels") == [METRICS["f1"]]


def largest(targets, outputs):
    return np.abs(targets - outputs).max()


def test_a_user_function():
    (metric,) = chosen_metrics(largest, "values")
    assert (metric.name, metric.greater_is_better) == ("largest", True)
    assert metric(VALUES, OF_VALUES, np.ones(3)) == 5
    assert type(metric(VALUES, OF_VALUES)) is float

    def smallest(targets, outputs):
        return np.array(0.5)

    smallest.greater_is_better = False
    own = Metric("worst", largest, greater_is_better=False)
    found = chosen_metrics([smallest, own, "mae"], "values")
    assert [metric.name for metric in found] == ["smallest", "worst", "mae"]
    assert not any(metric.greater_is_better for metric in found)


@pytest.mark.parametrize(
    "returned", [None, "good", "0.5", b"0.5", [1, 2], 1j, 10**400, np.ones(2), Metric]
)
def test_a_function_that_returns_no_number(returned):
    def own(targets, outputs):
        return returned

    with pytest.raises(
        TypeError, match="^`function` must return a number, got .* the metric 'own'"
    ):
        chosen_metrics(own, "values")[0](VALUES, OF_VALUES)


@pytest.mark.parametrize("task", TASKS)
def test_a_metric_of_another_task_is_refused(task):
    for name, metric in METRICS.items():
        if task in metric.tasks:
            assert chosen_metrics(name, task) == [metric]
            continue
        for given in (name, metric, ["accuracy"] * (task != "values") + [name]):
            with pytest.raises(
                ValueError, match=f"^`metrics` must be among .*, got '{name}'"
            ) as error:
                chosen_metrics(given, task)
            known = str(error.value).partition(", got ")[0]
            found = [name for name in METRICS if repr(name) in known]
            assert found == [name for name in METRICS if task in METRICS[name].tasks]


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        (
            "auc",
            ValueError,
            "`metrics` must be among 'accuracy', 'balanced_accuracy', .*, got 'auc'",
        ),
        (["f1", "f1"], ValueError, "`metrics` must have names that differ .*, got 'f1' twice"),
        (
            Metric("loss", largest),
            ValueError,
            "`metrics` must have names .* from 'loss', got 'loss'",
        ),
        (3, TypeError, "`metrics` must be one or a list of 'accuracy', .*, got 3"),
        ([None], TypeError, "`metrics` must be among 'accuracy', .*, got None"),
        (
            functools.partial(largest),
            TypeError,
            "`metrics` must be among .*, got functools.partial",
        ),
    ],
)
def test_refusals(metrics, error, message):
    with pytest.raises(error, match=f"^{message}"):
        chosen_metrics(metrics, "classes")


@pytest.mark.parametrize("wrong", [0, -1, 2.5])
def test_k_is_checked(wrong):
    with pytest.raises((TypeError, ValueError), match="^`k` must be an int of at least 1, got"):
        top_k(wrong)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", 3), ("name", None), ("function", "accuracy"), ("tasks", 3), ("tasks", "classes"),
        ("tasks", ("class",)), ("greater_is_better", "no"), ("greater_is_better", np.ones(2)),
        ("takes_weight", None),
    ],
)  # fmt: skip
def test_fields_of_a_metric_are_checked(field, wrong):
    fields = {"name": "own", "function": largest, field: wrong}
    with pytest.raises((TypeError, ValueError), match=rf"^`{field}(\[0\])?` must be .*, got "):
        Metric(**fields)


@pytest.mark.parametrize("metrics", [np.array(1.0), {"f1": 1}, {"f1"}, b"f1", object()])
def test_invalid_metrics(metrics):
    with pytest.raises(TypeError, match="^`metrics` must be .*'accuracy', .*, got "):
        chosen_metrics(metrics, "classes")
