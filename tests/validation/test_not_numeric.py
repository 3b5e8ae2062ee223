"""Values that are not real numbers, in every argument that is an array."""

import datetime
import decimal

import numpy as np
import pytest

from fastmlp import MLP, NeuralNet
from helpers.messages import assert_form
from helpers.same_bits import bits_of

X, Y = np.eye(6, 4), np.array([0, 1, 2, 0, 1, 2])
X, Y = np.eye(6, 4), np.array([0, 1, 2, 0, 1, 2])


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
    "the text '1.5'": "1.5",
    "the text b'1.5'": b"1.5",
    "the text 'True'": "True",
    f"the text {np.str_('2')!r}": np.str_("2"),
    "the missing value None": None,
    "the value datetime.date(2020, 1, 2)": datetime.date(2020, 1, 2),
    "the value datetime.timedelta(days=1)": datetime.timedelta(1),
    f"the value {np.datetime64('2020-01-02')!r}": np.datetime64("2020-01-02"),
    f"the value {np.timedelta64(1, 'D')!r}": np.timedelta64(1, "D"),
    "the value (1+0j)": 1 + 0j,
    "the value Decimal('sNaN')": decimal.Decimal("sNaN"),
    "an int of 401 digits": 10**400,
    "an int of 5001 digits": 10**5000,
    "the value [1]": [1],
}


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize("name", ARRAYS)
def test_an_object_array_with_one_invalid_value(name, text):
    value = ARRAYS[name][0].astype(object)
    value[(-1,) * value.ndim] = NO_NUMBERS[text]
    row, column = len(value) - 1, f" of column {value.shape[-1] - 1}" * (value.ndim - 1)
    assert f", got {text} in row {row}{column}" in refused(name, value, TypeError)


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
    yield pandas.Series([10**400, 1, 2], dtype=object), 0, "an int of 401 digits"


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
