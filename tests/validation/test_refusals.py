"""Every error message is one sentence that names the argument, and nothing is changed."""

import datetime
import decimal

import numpy as np
import pytest

from fastmlp import MLP, NeuralNet
from helpers.messages import assert_form
from helpers.same_bits import bits_of

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


@pytest.mark.parametrize("source", [np.random.RandomState, np.random.default_rng])
def test_a_refused_fit_leaves_the_random_sequence_where_it_was(source):
    given, untouched = source(3), source(3)
    net, _ = NeuralNet([4, 3], random_state=given), NeuralNet([4, 3], random_state=untouched)
    with pytest.raises(ValueError, match="^`X` must be finite"):
        net.fit(changed(X, (2, 1), np.nan), Y)
    assert np.array_equal(given.permutation(100), untouched.permutation(100))


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


# Non-numeric values in every argument that is an array -------------------------------------------


def setting(name):
    def call(net, value):
        if name in ("weights", "biases"):
            getattr(net, name)[0] = value
        else:
            MLP([4, 5, 3], **{name: [value, np.ones((3, 5))] if name == "init" else value})

    return call


#: By the name in the message: a valid value, and a call with another in its place.
ARRAYS = {
    "X": (X, lambda net, value: net.fit(value, Y)),
    "y": (Y, lambda net, value: net.fit(X, value)),
    "sample_weight": (np.ones(6), lambda net, value: net.fit(X, Y, sample_weight=value)),
    "class_weight": (np.ones(3), lambda net, value: net.fit(X, Y, class_weight=value)),
    "validation_data[0]": (X, lambda net, value: net.fit(X, Y, validation_data=(value, Y))),
    "validation_data[1]": (Y, lambda net, value: net.fit(X, Y, validation_data=(X, value))),
    "X[i][0]": (X, lambda net, value: net.fit([(value, Y)])),
    "X[i][1]": (Y, lambda net, value: net.fit([(X, value)])),
    "X, partial_fit": (X, lambda net, value: net.partial_fit(value, Y)),
    "X, predict": (X, lambda net, value: net.predict(value)),
    "X, predict_proba": (X, lambda net, value: net.predict_proba(value)),
    "X, score": (X, lambda net, value: net.score(value, Y)),
    "y, score": (Y, lambda net, value: net.score(X, value)),
    "sample_weight, score": (np.ones(6), lambda net, value: net.score(X, Y, value)),
    "weights[0]": (np.ones((5, 4)), setting("weights")),
    "biases[0]": (np.ones((5, 1)), setting("biases")),
    "init[0]": (np.ones((5, 4)), setting("init")),
    "input_shift": (np.ones(4), setting("input_shift")),
    "input_scale": (np.ones(4), setting("input_scale")),
}


def refused(name, value, error):
    """Pass `value` for an argument; check that nothing changed, and return the message."""
    net = MLP([4, 5, 3], random_state=np.random.RandomState(3)).fit(X, Y, epochs=1)
    before, position = bits_of(net), net._state.random.get_state()[1].copy()
    history = {key: list(values) for key, values in net.history_.items()}
    with pytest.raises(error) as raised:
        ARRAYS[name][1](net, value)
    assert bits_of(net) == before
    assert np.array_equal(position, net._state.random.get_state()[1]) and history == net.history_
    message = str(raised.value)
    assert message.startswith(f"`{name.split(', ')[0]}` must ")
    return assert_form(message)


@pytest.mark.parametrize("name", ARRAYS)
def test_masked_values_are_counted_and_refused(name):
    value = ARRAYS[name][0]
    masked = np.ma.masked_array(value, np.zeros(value.shape, bool))
    masked.mask.flat[[0, -1]] = True
    forms = {", got 2 masked values;": masked}
    if value.ndim == 2:  # NumPy drops its mask
        forms[", got 2 masked values; "] = list(masked)
    else:
        forms[", got 1 masked value;"] = [np.ma.masked, *value[1:]]
    for text, form in forms.items():
        assert text in refused(name, form, ValueError)


def test_masked_values_of_pairs_are_refused():
    net, x = NeuralNet([4, 3], random_state=0), np.ma.masked_array(X[:, :1].T, X[:, :1].T == 1)
    for pairs in (
        [(X[0], 0), (x[:, :4], 0)],
        [(X[0], 0), (X[0], np.ma.masked_equal([0, 0, 1], 0))],
    ):
        for call in (net.train, lambda pairs: net.train([(X[0], 0)], pairs), net.test):
            with pytest.raises(ValueError, match=r"^`[a-z]+_data.* got \d masked values?;"):
                call(pairs)


def test_an_array_without_a_masked_value_is_its_data():
    nets = [
        MLP([4, 5, 3], random_state=0).fit(form(X), form(Y), epochs=1, sample_weight=form(Y + 1.0))
        for form in (np.array, np.ma.masked_array, lambda array: list(np.ma.masked_array(array)))
    ]
    assert all(np.array_equal(net.weights[0], nets[0].weights[0]) for net in nets)


#: Each with how the message shows it; the rest of the array are numbers.
NO_NUMBERS = {
    "text '1.5'": "1.5",
    "text b'1.5'": b"1.5",
    "text 'True'": "True",
    f"text {np.str_('2')!r}": np.str_("2"),
    "missing value None": None,
    "value datetime.date(2020, 1, 2)": datetime.date(2020, 1, 2),
    "value datetime.timedelta(days=1)": datetime.timedelta(1),
    f"value {np.datetime64('2020-01-02')!r}": np.datetime64("2020-01-02"),
    f"value {np.timedelta64(1, 'D')!r}": np.timedelta64(1, "D"),
    "value (1+0j)": 1 + 0j,
    "value Decimal('sNaN')": decimal.Decimal("sNaN"),
    "value an int of 401 digits": 10**400,
    "value an int of 5001 digits": 10**5000,
    "value [1]": [1],
}


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize("name", ARRAYS)
def test_an_object_array_with_one_invalid_value(name, text):
    value = ARRAYS[name][0].astype(object)
    value[(-1,) * value.ndim] = NO_NUMBERS[text]
    row, column = len(value) - 1, f" of column {value.shape[-1] - 1}" * (value.ndim - 1)
    assert f", got the {text} in row {row}{column}" in refused(name, value, TypeError)


@pytest.mark.parametrize("name", ARRAYS)
def test_text_is_refused_in_every_form(name):
    value = ARRAYS[name][0]
    spelt = np.vectorize(str)(value)
    mixed = value.tolist()
    last = mixed[-1] if value.ndim == 2 else mixed
    last[-1] = str(last[-1])
    first = f" of column {0}" * (value.ndim - 1)
    for form in (spelt, spelt.astype(object), spelt.astype("S"), spelt.tolist()):
        message = refused(name, form, TypeError)
        assert ", got the text " in message and f" in row 0{first}; encode" in message
    # NumPy converts all numbers of this list to text: the message still shows the right value.
    row, column = len(value) - 1, f" of column {value.shape[-1] - 1}" * (value.ndim - 1)
    assert f", got the text {last[-1]!r} in row {row}{column};" in refused(name, mixed, TypeError)


@pytest.mark.parametrize("value", [np.array([["2020"] * 4] * 6, "M8[ns]"), X.astype("m8[s]")])
def test_dates_are_refused(value):
    message = refused("X", value, TypeError)
    assert ", got the value n" in message and "in row 0 of column 0; " in message
    assert "dates" in message


# Tables ------------------------------------------------------------------------------------------


def tables(pandas):
    """Yield a column, the row that the message names, and what it says of it."""
    yield ["4.5", "5", "6"], 0, "the text '4.5'"
    yield [4.5, np.nan, "Paris"], 2, "the text 'Paris'"
    yield pandas.Categorical(["1.5", "2", "1.5"]), 0, "the text '1.5'"
    yield pandas.array(["1.5", "2", "3"], "string"), 0, "the text '1.5'"
    for dtype in ("Int64", "boolean"):
        column = pandas.array([1, 0, None], dtype)
        yield column, 2, "the missing value <NA>"
    yield pandas.to_datetime(["2020"] * 3), 0, "the value Timestamp('2020-"
    yield pandas.to_timedelta([1, 2, 3]), 0, "the value Timedelta('0 days"
    yield [1.0, None, datetime.date(2020, 1, 1)], 1, "the missing value None"
    yield ["a\nb" * 1000, 1, 2], 0, "the text 'a"
    yield pandas.Series([10**400, 1, 2], dtype=object), 0, "got an int of 401 digits"


def test_the_first_column_of_a_table_that_has_no_numbers_is_named():
    pandas = pytest.importorskip("pandas")
    net = MLP([3, 2], random_state=0)
    for column, row, found in tables(pandas):
        frame = pandas.DataFrame({"age": pandas.array([1, 2, 3], "Int64"), "city": column})
        frame["later"] = ["x", "y", "z"]
        for call in (
            net.predict,
            lambda frame: net.fit(frame, [0, 1, 0]),
            lambda frame: net.fit([(frame, [0, 1, 0])]),
            lambda frame: net.fit(np.ones((3, 3)), [0, 1, 0], validation_data=(frame, [0, 1, 0])),
        ):
            with pytest.raises(TypeError) as raised:
                call(frame)
            message = str(raised.value)
            assert f", got {found}" in message and f" in row {row} of column 'city'; " in message
            assert "must contain only real numbers" in assert_form(message)


def test_a_table_that_holds_nothing_but_dates_or_missing_values():
    pandas = pytest.importorskip("pandas")
    net, named = MLP([1, 2], random_state=0), "^`X` must .*, got the .* in row 0 of column 'born'"
    for column in (pandas.to_datetime(["2020"]), pandas.to_timedelta([1]), [None], [pandas.NaT]):
        with pytest.raises(TypeError, match=named):
            net.predict(pandas.DataFrame({"born": column}))
    with pytest.raises(
        TypeError, match="^`X` must be an array or a list of real numbers, got <NA>"
    ):
        net.predict(pandas.NA)
    with pytest.raises(TypeError, match="^`y` must .*, got the missing value <NA> in row 1"):
        net.fit(np.ones((2, 1)), pandas.Series([1, None], dtype="Int64").astype(object))
