"""Every error message is one sentence that names the argument, and nothing is changed."""

import numpy as np
import pytest

from fastmlp import NeuralNet
from helpers.messages import assert_form
from helpers.same_bits import bits_of

X, Y = np.eye(6, 4), np.array([0, 1, 2, 0, 1, 2])
X, Y = np.eye(6, 4), np.array([0, 1, 2, 0, 1, 2])


def changed(array, index, value):
    array = np.array(array, np.float64)
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("arguments", "options", "error", "named"),
    [
        (([784],), {}, ValueError, "layers"),
        (([],), {}, ValueError, "layers"),
        ((10,), {}, TypeError, "layers"),
        (("784",), {}, TypeError, "layers` must .*, got '784'"),
        ((b"784",), {}, TypeError, "layers` must .*, got b'784'"),
        (([4, 10**19],), {}, ValueError, "layers"),
        (([4, 2], True), {}, TypeError, "learning_rate"),
        (([4, 2], 0.1, np.True_), {}, TypeError, "reg_lambda"),
        (([4, 2], 10**400), {}, ValueError, "learning_rate"),
        (([4, 2],), {"n_threads": 10**20}, ValueError, "n_threads"),
        (([4, 0, 2],), {}, ValueError, r"layers\[1\]"),
        (([4, -3],), {}, ValueError, r"layers\[1\]"),
        (([4, 2.5],), {}, TypeError, r"layers\[1\]"),
        (([4, True],), {}, TypeError, r"layers\[1\]"),
        (([4, 2], -0.1), {}, ValueError, "learning_rate"),
        (([4, 2], float("nan")), {}, ValueError, "learning_rate"),
        (([4, 2], "fast"), {}, TypeError, "learning_rate"),
        (([4, 2], 0.1, -1), {}, ValueError, "reg_lambda"),
        (([4, 2], 0.1, float("inf")), {}, ValueError, "reg_lambda"),
        (([4, 2],), {"output_activation": "softmax"}, ValueError, "output_activation"),
        (([4, 2],), {"output_activation": None}, ValueError, "output_activation"),
        (([4, 2],), {"dtype": "float16"}, ValueError, "dtype"),
        (([4, 2],), {"dtype": int}, ValueError, "dtype"),
        (([4, 2],), {"dtype": "fast"}, TypeError, "dtype"),
        (([4, 2],), {"random_state": "seed"}, TypeError, "random_state"),
        (([4, 2],), {"random_state": -1}, ValueError, "random_state"),
        (([4, 2],), {"random_state": 2**32}, ValueError, "random_state"),
        (([4, 2],), {"random_state": 1.5}, TypeError, "random_state"),
        (([4, 2],), {"n_threads": 0}, ValueError, "n_threads"),
        (([4, 2],), {"n_threads": 1.0}, TypeError, "n_threads"),
    ],
)
def test_constructor(arguments, options, error, named):
    state = np.random.get_state()[1].copy()
    with pytest.raises(error, match=f"^`{named}") as raised:
        NeuralNet(*arguments, **options)
    assert_form(str(raised.value))
    assert np.array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize(
    ("arguments", "options", "error", "named"),
    [
        ((np.eye(6, 5), Y), {}, ValueError, "X"),
        ((X[0], Y), {}, ValueError, "X"),
        ((X[None], Y), {}, ValueError, "X"),
        ((X[:0], Y[:0]), {}, ValueError, "X"),
        (([], []), {}, ValueError, "X"),
        (([[1, 2, 3, 4], [1, 2]], [0, 1]), {}, ValueError, "X"),
        (([["a", "b", "c", "d"]], [0]), {}, TypeError, "X"),
        ((X + 1j, Y), {}, TypeError, "X"),
        ((None, Y), {}, TypeError, "X"),
        (([[10**400, 0, 0, 0]] * 6, Y), {}, TypeError, "X"),
        ((X, [10**400] * 6), {}, TypeError, "y"),
        (
            (changed(X, (2, 1), np.nan), Y),
            {},
            ValueError,
            "X` must be finite, got NaN or infinity in row 2",
        ),
        (
            (changed(X, (5, 3), np.inf), Y),
            {},
            ValueError,
            "X` must be finite, got NaN or infinity in row 5",
        ),
        (
            (changed(X, (0, 0), -np.inf), Y),
            {},
            ValueError,
            "X` must be finite, got NaN or infinity in row 0",
        ),
        ((X, Y[:5]), {}, ValueError, "y"),
        ((X, changed(Y, 1, 3)), {}, ValueError, "y` must be labels from 0 to 2, got 3"),
        ((X, changed(Y, 1, -1)), {}, ValueError, "y` must be labels from 0 to 2, got -1"),
        ((X, changed(Y, 1, 0.5)), {}, ValueError, "y` must be integer labels from 0 to 2, got 0.5"),
        (
            (X, changed(Y, 1, np.nan)),
            {},
            ValueError,
            "y` must be integer labels from 0 to 2, got nan",
        ),
        ((X, list("abcabc")), {}, TypeError, "y` .*numpy.unique"),
        ((X, np.eye(6, 4)), {}, ValueError, "y` must have rows of length 3, .*, got length 4"),
        (
            (X, np.full((6, 3), 1 / 2)),
            {},
            ValueError,
            "y` must be labels, .*, got the sum 1.5 in row 0",
        ),
        ((X, np.ones((6, 3))), {}, ValueError, "y` must be labels, .*, got the sum 3.0 in row 0"),
        ((X, np.zeros((6, 3))), {}, ValueError, "y` must be labels, .*, got the sum 0.0 in row 0"),
        ((X, np.zeros((6, 3, 1))), {}, ValueError, "y"),
        ((X, 1), {}, ValueError, "y"),
        ((X, Y), {"batch_size": 0}, ValueError, "batch_size"),
        ((X, Y), {"batch_size": -1}, ValueError, "batch_size"),
        ((X, Y), {"batch_size": 2.0}, TypeError, "batch_size"),
        ((X, Y), {"epochs": -1}, ValueError, "epochs"),
        ((X, Y), {"epochs": None}, TypeError, "epochs"),
        ((X, Y), {"validation_data": X}, TypeError, "validation_data"),
        ((X, Y), {"validation_data": (X, Y[:2])}, ValueError, "validation_data"),
        ((X, Y), {"validation_data": (X[:, :2], Y)}, ValueError, "validation_data"),
        (
            (X, Y),
            {"validation_data": (changed(X, (4, 0), np.nan), Y)},
            ValueError,
            "validation_data.* row 4",
        ),
    ],
)
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_fit(arguments, options, error, named, n_threads, batch_size):
    net = NeuralNet([4, 5, 3], 0.3, random_state=np.random.RandomState(3), n_threads=n_threads)
    net.fit(X, Y, epochs=1)
    before, position = bits_of(net), net._state.random.get_state()[1].copy()
    history = {name: list(values) for name, values in net.history_.items()}
    with pytest.raises(error, match=f"^`{named}") as raised:
        net.fit(*arguments, **{"batch_size": batch_size, "epochs": 2, **options})
    assert_form(str(raised.value))
    assert bits_of(net) == before
    assert np.array_equal(position, net._state.random.get_state()[1])
    assert history == net.history_


@pytest.mark.parametrize(
    ("rows", "error", "named"),
    [
        (np.eye(2, 5), ValueError, r"X` must have shape \(n_samples, 4\), got \(2, 5\)"),
        (X[0], ValueError, r"X` must have shape \(n_samples, 4\), got \(4,\)"),
        (X[:0], ValueError, "X` must have at least one sample"),
        (changed(X, (3, 3), np.nan), ValueError, "X` must be finite, got NaN or infinity in row 3"),
        ([["a"] * 4], TypeError, "X"),
    ],
)
def test_prediction(rows, error, named):
    net = NeuralNet([4, 3])
    for method in (net.predict, net.predict_proba, lambda rows: net.score(rows, [0] * len(rows))):
        with pytest.raises(error, match=f"^`{named}"):
            method(rows)
    with pytest.raises(ValueError, match="^`y` must have as many samples as `X`, 6, got 2"):
        net.score(X, [0, 1])


def test_too_large_for_float32_is_named():
    net = NeuralNet([1, 2], dtype="float32")
    with pytest.raises(
        ValueError, match="^`X` must be finite, got NaN or infinity in row 1 .as float32"
    ):
        net.fit([[1.0], [1e300]], [0, 1])


@pytest.mark.parametrize(
    ("pairs", "error", "named"),
    [
        ([], ValueError, "training_data` must have at least one"),
        (3, TypeError, "training_data"),
        ([X[0]], TypeError, "training_data"),
        (
            [(X[0], 0), (X[0, :2], 0)],
            ValueError,
            r"training_data\[1\]\[0\]` must have 4 features, got 2",
        ),
        (
            [(X[0], np.ones((3, 1)))],
            ValueError,
            "training_data` must be labels, .*, got the sum 3.0 in row 0",
        ),
        (
            [(X[0], np.eye(4)[:, [0]])],
            ValueError,
            r"training_data\[0\]\[1\]` must be a label or have 3 elements, got 4",
        ),
        ([(X[0], 3)], ValueError, "training_data` must be labels from 0 to 2, got 3"),
        (
            [([[1, 2], [3]], 0)],
            ValueError,
            r"training_data\[0\]\[0\]` must have rows of equal length",
        ),
        (
            [(X[0] * np.nan, 0)],
            ValueError,
            "training_data` must be finite, got NaN or infinity in row 0",
        ),
    ],
)
def test_train(pairs, error, named):
    net = NeuralNet([4, 3], random_state=0)
    before = bits_of(net)
    named = f"^`{named}"
    with pytest.raises(error, match=named):
        net.train(pairs)
    with pytest.raises(error, match=named.replace("training_data", "validation_data")):
        net.train([(X[0], 0)], pairs)
    with pytest.raises(error, match=named.replace("training_data", "test_data")):
        net.test(pairs)
    assert bits_of(net) == before


def test_assigning_parameters_and_rates():
    net = NeuralNet([4, 5, 3], random_state=0)
    before = bits_of(net)
    with pytest.raises(ValueError, match=r"^`weights\[0\]` must have shape \(5, 4\), got \(4, 5\)"):
        net.weights[0] = np.ones((4, 5))
    with pytest.raises(ValueError, match=r"^`weights` must have 2 arrays, got 1"):
        net.weights = [np.ones((5, 4))]
    with pytest.raises(ValueError, match=r"^`weights\[1\]` must have shape \(3, 5\), got \(5, 3\)"):
        net.weights = [np.ones((5, 4)), np.ones((5, 3))]
    with pytest.raises(ValueError, match=r"^`biases\[0\]` must have shape \(5, 1\), got \(5,\)"):
        net.biases[0] = np.ones(5)
    assert bits_of(net) == before
    for wrong in (None, 3):
        with pytest.raises(TypeError, match="^`weights` must be a list of arrays, got"):
            net.weights = wrong
    with pytest.raises(ValueError, match="^`learning_rate` must be finite and at least 0, got -1"):
        net.learning_rate = -1
    with pytest.raises(ValueError, match="^`reg_lambda` must be finite and at least 0, got -1"):
        net.reg_lambda = -1
    with pytest.raises(ValueError, match="^`n_threads` must be an int of at least 1, got 0"):
        net.n_threads = 0
    assert (net.learning_rate, net.reg_lambda, net.n_threads) == (0.05, 0, None)


@pytest.mark.usefixtures("x_not_finite")
@pytest.mark.parametrize("source", [np.random.RandomState, np.random.default_rng])
def test_a_refused_fit_leaves_the_random_sequence_where_it_was(source):
    given, untouched = source(3), source(3)
    net, _ = NeuralNet([4, 3], random_state=given), NeuralNet([4, 3], random_state=untouched)
    with pytest.raises(ValueError, match="^`X` must be finite"):
        net.fit(changed(X, (2, 1), np.nan), Y)
    assert np.array_equal(given.permutation(100), untouched.permutation(100))


@pytest.mark.usefixtures("x_not_finite")
@pytest.mark.parametrize("row", [3, 299, 300, 599])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_row_is_refused_wherever_it_lies_in_a_share(row, n_threads):
    """More rows than are predicted together, and a row of each worker's share."""
    net = NeuralNet([4, 3], random_state=0, n_threads=n_threads)
    before, rows = bits_of(net), changed(np.ones((600, 4)), (row, 1), np.nan)
    with pytest.raises(ValueError, match=f"^`X` must be finite, got NaN or infinity in row {row} "):
        net.fit(rows, np.zeros(600, int), epochs=1, batch_size=600, shuffle=False)
    assert bits_of(net) == before
    with pytest.raises(ValueError, match=f"^`X` must be finite, got NaN or infinity in row {row} "):
        net.predict(rows)


def test_sizes_changed_by_users_have_no_effect():
    net = NeuralNet([4, 3], random_state=0)
    net.layers[-1] = 10**7
    with pytest.raises(ValueError, match="^`y` must be labels from 0 to 2, got 9999999"):
        net.fit(X, [0, 1, 2, 0, 1, 9999999])


def test_assignment_is_all_or_nothing_whatever_numpy_warns_of():
    net = NeuralNet([4, 5, 3], dtype="float32", random_state=0)
    with np.errstate(all="raise"):
        net.weights = [np.full((5, 4), 1e-60), np.full((3, 5), 2.0)]
        net.fit(X * 1e-60, Y, epochs=1)
    assert net.weights[0][0, 0] == 0
