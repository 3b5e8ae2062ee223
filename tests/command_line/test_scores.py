"""Scores that are added up piece by piece, with and without weights."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn import metrics

from fastmlp.command_line import halves as halves_module
from fastmlp.command_line import scores
from fastmlp.command_line.halves import CRITERION, NAMES, Halves

SIZES = (1, 7, 500)
WEIGHTS = {"no weights": None, "weights": np.random.default_rng(9).integers(0, 4, 500) / 2}


def pieces(n, size):
    return [slice(start, start + size) for start in range(0, n, size)]


def scored(task, values, outputs, names, weights=None, size=500):
    found = scores.new_scores(task, names)
    for rows in pieces(len(values), size):
        found.add(values[rows], outputs[rows], None if weights is None else weights[rows])
    return found.result()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("n_classes", [2, 3, 25])
def test_scores_of_classes_are_those_of_scikit_learn(n_classes, name, size):
    random, weights = np.random.default_rng(n_classes), WEIGHTS[name]
    y = random.integers(0, n_classes, 500).astype(np.int32)
    p = random.dirichlet(np.ones(n_classes), 500)
    p[np.arange(300), y[:300]] += 1
    p /= p.sum(axis=1, keepdims=True)
    names = [f"c{k}" for k in range(n_classes)]
    found, predicted = scored("classification", y, p, names, weights, size), p.argmax(axis=1)
    more = {"sample_weight": weights}
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, predicted, **more))
    expected = metrics.balanced_accuracy_score(y, predicted, **more)
    assert found["balanced accuracy"] == pytest.approx(expected)
    assert found["log loss"] == pytest.approx(metrics.log_loss(y, p, **more))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(y, predicted, **more)
    for k, each in enumerate(found["classes"]):
        assert each["precision"] == pytest.approx(precision[k])
        assert each["recall"] == pytest.approx(recall[k])
        assert each["F1"] == pytest.approx(f1[k])
        assert each["name"] == names[k] and each["rows"] == np.count_nonzero(y == k)
    matrix = metrics.confusion_matrix(y, predicted, **more)
    assert found["confusion matrix"] == matrix.tolist()
    assert all(type(n) is (int if weights is None else float)
               for row in found["confusion matrix"] for n in row)  # fmt: skip
    np.fill_diagonal(matrix, 0)
    most = sorted(matrix[matrix > 0].tolist(), reverse=True)[:10]
    assert [each["total"] for each in found["errors"]] == most
    first = found["errors"][0]
    assert matrix[names.index(first["true"]), names.index(first["predicted"])] == first["total"]


def test_scores_of_classes_that_do_not_occur():
    y, p = np.array([1, 1]), np.eye(3)[[1, 0]]
    found = scored("classification", y, p, ["a", "b", "c"])
    assert found["balanced accuracy"] == 0.5 and found["classes"][2]["F1"] == 0
    assert found["log loss"] == pytest.approx(-np.log(np.finfo(float).eps) / 2)
    weights = np.array([1.0, 0.0])
    assert scored("classification", y, p, ["a", "b", "c"], weights)["accuracy"] == 1


def test_many_classes_have_no_matrix(monkeypatch):
    monkeypatch.setattr(scores, "MOST_IN_MATRIX", 2)
    y, p = np.array([0, 1, 2, 2]), np.eye(3)[[0, 2, 2, 1]]
    found = scored("classification", y, p, ["a", "b", "c"])
    assert found["confusion matrix"] is None
    assert found["errors"] == [
        {"true": "b", "predicted": "c", "total": 1}, {"true": "c", "predicted": "b", "total": 1}
    ]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", WEIGHTS)
def test_scores_of_labels_are_those_of_scikit_learn(name, size):
    random, weights = np.random.default_rng(1), WEIGHTS[name]
    y = random.integers(0, 2, (500, 3)).astype(float)
    p = np.clip(0.6 * y + random.uniform(0, 0.6, (500, 3)) - 0.1, 0.001, 0.999)
    found = scored("multilabel", y, p, ["a", "b", "c"], weights, size)
    predicted, more = p >= 0.5, {"sample_weight": weights}
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, predicted, **more))
    each = [metrics.balanced_accuracy_score(y[:, k], predicted[:, k], **more) for k in range(3)]
    assert found["balanced accuracy"] == pytest.approx(np.mean(each))
    each = [metrics.log_loss(y[:, k], p[:, k], **more) for k in range(3)]
    assert found["log loss"] == pytest.approx(np.mean(each))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(y, predicted, **more)
    for k, one in enumerate(found["labels"]):
        assert one["precision"] == pytest.approx(precision[k])
        assert one["recall"] == pytest.approx(recall[k]) and one["F1"] == pytest.approx(f1[k])
        assert one["name"] == "abc"[k] and one["rows"] == y[:, k].sum()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("n_targets", [1, 2])
def test_scores_of_values_are_those_of_scikit_learn(n_targets, name, size):
    random, weights = np.random.default_rng(2), WEIGHTS[name]
    values = 1e6 + random.normal(size=(500, n_targets))  # far from 0, for sums of squares
    outputs = values + random.normal(size=values.shape)
    found = scored("regression", values, outputs, ["a", "b"][:n_targets], weights, size)
    more = {"sample_weight": weights}
    assert found["R2"] == pytest.approx(metrics.r2_score(values, outputs, **more), abs=1e-9)
    assert found["MAE"] == pytest.approx(metrics.mean_absolute_error(values, outputs, **more))
    expected = metrics.root_mean_squared_error(values, outputs, **more)
    assert found["RMSE"] == pytest.approx(expected)


@pytest.mark.parametrize("size", SIZES)
def test_r2_of_a_constant_target(size):
    values = np.full((500, 1), 0.1)  # whose mean is not exactly itself
    assert scored("regression", values, values + 1, ["a"], None, size)["R2"] == 0
    assert scored("regression", values, values, ["a"], None, size)["R2"] == 1


def test_guesses():
    assert scores.guess_of("classification", np.array([2, 1, 1])) == 1
    assert scores.guess_of("classification", np.array([2, 1, 1]), np.array([3.0, 1.0, 1.0])) == 2
    labels = np.array([[1, 0], [1, 0], [0, 0]])
    assert scores.guess_of("multilabel", labels) == [1, 0]
    assert scores.guess_of("multilabel", labels, np.array([1.0, 1.0, 3.0])) == [0, 0]
    mean = scores.guess_of("regression", np.array([[1.0], [3.0]]), np.array([3.0, 1.0]))
    assert mean == [1.5]

    def score_of(task, guess, values, weights=None):
        score = scores.main_score(task)
        scores.add_guess(score, guess, np.array(values), weights)
        return score.value

    assert score_of("classification", 1, [1, 1, 0, 2]) == 0.5
    assert score_of("classification", 1, [1, 1, 0, 2], np.array([1.0, 2, 3, 6])) == 0.25
    assert score_of("multilabel", [1, 0], [[1, 0], [0, 0]]) == 0.5
    assert score_of("regression", [2.0], [[1.0], [3.0]]) == 0
    assert np.isnan(scores.main_score("regression").value)


# Halves -------------------------------------------------------------------------------------------


def halves_of(task, values, rows, preset=True, weights=None):
    found = Halves(task, preset, values, weights, 0)
    found.rows = rows
    return found


def test_the_epoch_is_chosen_by_other_rows_than_those_of_the_score():
    of_halves = [0.2, 0.9, 0.4], [0.3, 0.1, 0.8]
    criteria = [-0.5, -0.1, -0.3], [-0.6, -0.7, -0.2]
    history = {"validation_accuracy": [0.25, 0.5, 0.6]}
    for name, each, criterion in zip(NAMES, of_halves, criteria, strict=True):
        history |= {f"validation_{name}": each, f"validation_{name}{CRITERION}": criterion}
    estimator = SimpleNamespace(validation_scores_=[0.25, 0.6, 0.6], history_=history)
    labels = np.array([0, 1, 1, 0, 1])
    rows = (np.arange(3), np.array([3, 4]))
    halves = halves_of("classification", labels, rows)
    # Epoch 2 is the best one of the first half, epoch 3 that of the second; 3 is the last best one.
    best, score = halves.best_epoch(estimator)
    assert best == 3 and score == pytest.approx((3 * 0.4 + 2 * 0.1) / 5)
    weights = np.array([1.0, 0, 0, 3, 4])
    weighted = halves_of("classification", labels, rows, weights=weights)
    assert weighted.best_epoch(estimator) == (3, pytest.approx((1 * 0.4 + 7 * 0.1) / 8))
    too_few = halves_of("classification", labels, (np.arange(4), np.array([4])))
    no_weight = halves_of("classification", labels, rows, weights=weights * (weights < 2))
    for each in (too_few, no_weight):
        assert each.best_epoch(estimator) == (3, 0.6) and each.recorded() == ["accuracy"]
    assert halves.best_epoch(SimpleNamespace(validation_scores_=[], history_={})) == (0, None)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2, 4, 1, 1])])
def test_what_is_recorded_of_halves(weights):
    rows = (np.arange(3), np.array([3, 4]))
    more = {} if weights is None else {"sample_weight": weights[:3]}
    values = np.array([[1.0], [2.0], [4.0], [7.0], [8.0]])
    outputs = values + np.array([[1.0], [0.0], [0.0], [3.0], [0.0]])
    found = halves_of("regression", values, rows, weights=weights)
    name, half, criterion, *_ = found.recorded()
    assert name == "r2"
    expected = metrics.r2_score(values[:3], outputs[:3], **more)
    assert half(values, outputs) == pytest.approx(expected)
    assert criterion(values, outputs) == half(values, outputs)
    labels, outputs = np.array([0, 1, 1, 0, 1]), np.array([[9, 1], [4, 6], [8, 2], [5, 5], [5, 5]])
    for preset in (True, False):
        found = halves_of("classification", labels, rows, preset, weights)
        name, half, criterion, *_ = found.recorded()
        expected = metrics.accuracy_score(labels[:3], outputs[:3].argmax(axis=1), **more)
        assert (name, half(labels, outputs / 10)) == ("accuracy", pytest.approx(expected))
        if preset:
            expected = -metrics.log_loss(labels[:3], outputs[:3] / 10, **more)
        assert criterion(labels, outputs / 10) == pytest.approx(expected)


def test_the_last_of_equal_scores_is_the_best():
    assert halves_module.last_best([0.5, 0.7, np.nan, 0.7, 0.1]) == 3
