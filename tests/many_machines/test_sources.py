"""What X, y and the weights may be, and what is refused: before anything is read if it is known."""

import pickle

import numpy as np
import pytest

import fastmlp.dask
from fastmlp import MLP
from helpers.same_bits import file_of

SIZES = [5, 7, 3]
N = 22


@pytest.fixture
def data(make_data):
    return make_data(SIZES, N)


def make():
    return MLP(SIZES, random_state=0)


def fit(X, y=None, sample_weight=None, net=None, **options):
    options = {"client": False, "rounds": 2, "n_shards": 4} | options
    return fastmlp.dask.fit(net or make(), X, y, sample_weight=sample_weight, **options)


# In memory ---------------------------------------------------------------------------------------


def test_every_kind_of_array_in_memory_gives_the_same_bits(data, tmp_path):
    X, y = data
    w = np.random.default_rng(0).random(N)
    expected = file_of(fit(X, y, w))
    np.save(tmp_path / "X.npy", X)
    assert file_of(fit(X.tolist(), tuple(y), w.tolist())) == expected
    assert file_of(fit(np.load(tmp_path / "X.npy", mmap_mode="r"), y, w)) == expected
    assert file_of(fit(np.asfortranarray(X), y[::-1].copy()[::-1], w)) == expected
    read_only = X.copy()
    read_only.flags.writeable = False
    assert file_of(fit(read_only, y[:, None], w)) == expected
    pd = pytest.importorskip("pandas")
    index = np.arange(N)[::-1]
    frame, labels = pd.DataFrame(X, index=index), pd.Series(y, index=index + 3)
    assert file_of(fit(frame, labels, pd.Series(w))) == expected


def test_sparse_matrices(data):
    sparse = pytest.importorskip("scipy.sparse")
    X, y = data
    expected = file_of(fit(sparse.csr_matrix(X), y))
    for kind in (sparse.csc_array, sparse.coo_matrix):
        assert file_of(fit(kind(X), sparse.csr_array(np.eye(3)[y]))) == expected


def test_sparse_matrices_are_converted_once(data, monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    X, y = data
    calls, convert = [], sparse.csc_array.tocsr
    monkeypatch.setattr(
        sparse.csc_array, "tocsr", lambda self, *of: calls.append(of) or convert(self, *of)
    )
    fit(sparse.csc_array(X), y)
    assert len(calls) == 1


# Functions ---------------------------------------------------------------------------------------


def test_functions_that_load_a_shard(data):
    X, y = data
    w = np.random.default_rng(0).random(N)
    found = fit(lambda shard: (X[shard::4], y[shard::4]))
    assert file_of(found) == file_of(fit(X, y))
    found = fit(lambda shard: [X[shard::4], y[shard::4], w[shard::4]])
    assert file_of(found) == file_of(fit(X, y, w))


def test_the_names_of_columns_that_functions_load(data):
    pd = pytest.importorskip("pandas")
    X, y = data
    table = pd.DataFrame(X, columns=list("abcde"))
    net = fit(lambda shard: (table[shard::4], y[shard::4]))
    assert net.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match=r"shard 0: .* got 'b' in place of 'a' at position 0"):
        fit(lambda shard: (table[list("bacde")][shard::4], y[shard::4]), net=net)

    def another_order(shard):
        names = list("abcde") if shard != 2 else list("abced")
        return table[names][shard::4], y[shard::4]

    message = "shard 2: `X` must have the columns .* got 'e' in place of 'd' at position 3"
    with pytest.raises(ValueError, match=message):
        fit(another_order)


def test_the_names_of_columns_of_validation_data(data):
    pd = pytest.importorskip("pandas")
    X, y = data
    table = pd.DataFrame(X, columns=list("abcde"))
    other = (table[list("bacde")], y)
    whole = make().fit(X, y, epochs=2, validation_data=(table, y))
    net = fit(X, y, n_shards=1, validation_data=(table, y))
    assert file_of(net) == file_of(whole)
    for source in ((table, y), (lambda shard: (table[shard::4], y[shard::4]),)):
        with pytest.raises(
            ValueError, match=r"^`validation_data\[0\]` must .* got 'b' in place of"
        ):
            fit(*source, validation_data=other)


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda s: None, r"`X\(0\)` must return \(X, y\) or \(X, y, sample_weight\), got None"),
        (lambda s: (np.ones((0, 5)), []), "shard 0: `X` must have at least one sample"),
        (lambda s: (np.ones((2, 4)), [0, 1]), r"shard 0: `X` must have shape \(n_samples, 5\)"),
        (lambda s: (np.ones((2, 5)), [0]), "shard 0: `y` must have as many samples as `X`, 2"),
        (
            lambda s: (np.where(s == 2, np.nan, np.ones((2, 5))), [0, 1]),
            "shard 2: `X` must be finite, got NaN or infinity in row 0 ",
        ),
    ],
)
def test_what_functions_may_not_return(load, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(load)


def test_errors_of_functions_say_which_shard():
    def load(shard):
        raise FileNotFoundError(2, "No such file", "rows.npy")

    with pytest.raises(FileNotFoundError, match="rows.npy") as found:
        fit(load)
    assert found.value.__notes__ == ["raised by `X(0)`"]
    assert pickle.loads(pickle.dumps(found.value)).__notes__ == found.value.__notes__


def test_arguments_that_do_not_go_with_a_function(data):
    X, y = data
    for other in ({"y": y}, {"sample_weight": y}):
        with pytest.raises(ValueError, match=f"`{next(iter(other))}` must be None if `X` is a fun"):
            fit(lambda shard: (X, y), **other)


# Refusals ----------------------------------------------------------------------------------------


def lazy(values):
    da = pytest.importorskip("dask.array")
    return da.from_array(np.asarray(values), chunks=5)


def unknown(values):
    array = lazy(values)
    if array.ndim == 2:
        return array[array.sum(axis=1) == array.sum(axis=1)]
    return array[array == array]


ROWS = np.ones((10, 5))
LABELS = np.zeros(10, int)


@pytest.mark.parametrize(
    "form", [np.asarray, lambda values: np.asarray(values).tolist(), lazy, unknown]
)
@pytest.mark.parametrize(
    ("X", "y", "weight", "message"),
    [
        (ROWS[:3], LABELS[:3], None, "^`n_shards` must be at most 3, as X has 3 samples, got 4.$"),
        (ROWS[:0], LABELS[:0], None, "^`X` must have at least one sample, got 0 rows.$"),
        (ROWS, LABELS[:9], None, "^`y` must have 10 rows, as X has, got 9.$"),
        (ROWS, LABELS, LABELS[:9], "^`sample_weight` must have 10 rows, as X has, got 9.$"),
    ],
)
def test_lengths(form, X, y, weight, message):
    weight = None if weight is None else form(weight)
    if len(X) == 0 and form is unknown:
        return  # its blocks have no rows either: the case of empty partitions
    with pytest.raises(ValueError, match=message):
        fit(form(X), form(y), weight)


@pytest.mark.parametrize("form", [np.asarray, lazy])
@pytest.mark.parametrize(
    ("X", "got"), [(ROWS[:, :4], r"\(10, 4\)"), (ROWS[0], r"\(5,\)"), (ROWS[None], r"\(1, 10, 5\)")]
)
def test_shapes_of_X(form, X, got):
    with pytest.raises(ValueError, match=rf"^`X` must have shape \(n_samples, 5\), got {got}.$"):
        fit(form(X), form(LABELS))


@pytest.mark.parametrize("value", [3, "text", None, {1: 2}, {1, 2}, (i for i in ())])
def test_what_is_no_array(value):
    for name in ("X", "y", "sample_weight"):
        if value is None and name != "X":
            continue
        arguments = {"X": ROWS, "y": LABELS} | {name: value}
        with pytest.raises(TypeError, match=f"`{name}` must be an array, a data frame, or one of"):
            fit(**arguments)
    with pytest.raises(TypeError, match="`y` must be passed unless `X` is a function"):
        fit(ROWS)


def test_collections_without_rows(data):
    dask = pytest.importorskip("dask")
    X, y = data
    for name in ("X", "y", "sample_weight"):
        arguments = {"X": X, "y": y} | {name: dask.delayed(X)}
        with pytest.raises(TypeError, match=f"`{name}` must be an array, a data frame, or one of"):
            fit(**arguments)


@pytest.mark.parametrize("form", [np.asarray, lazy])
def test_errors_of_values_name_the_row_of_all(form):
    X = ROWS.copy()
    X[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"^shard 3: `X` must be finite, got NaN .* in row 7 "):
        fit(form(X), form(LABELS))
    X = ROWS.astype(object)
    X[9, 1] = "in row 1"
    message = r"^shard 1: `X` must .* got the text 'in row 1' in row 9 of column 1;"
    with pytest.raises(TypeError, match=message):
        fit(form(X), form(LABELS))
    y = LABELS.astype(object)
    y[6] = "red"
    with pytest.raises(TypeError, match="^shard 2: `y` must .* the text 'red' in row 6; encode"):
        fit(form(ROWS), form(y))
    for wrong in (3, -1):
        y = LABELS.copy()
        y[6] = wrong
        message = f"^shard 2: `y` must be labels from 0 to 2, got {wrong}"
        with pytest.raises(ValueError, match=message):
            fit(form(ROWS), form(y))
    w = np.ones(10)
    w[6] = np.inf
    with pytest.raises(ValueError, match="^shard 2: `sample_weight` must be finite and at least 0"):
        fit(form(ROWS), form(LABELS), form(w))


@pytest.mark.parametrize("form", [np.asarray, lazy])
def test_nothing_is_changed_by_an_error(form, data):
    X, y = data
    net = fit(X, y)
    before = file_of(net)
    wrong = X.copy()
    wrong[-1, -1] = np.inf
    with pytest.raises(ValueError, match="in row 21 "):
        fit(form(wrong), form(y), net=net)
    assert file_of(net) == before


def test_memory_maps_are_shuffled_in_blocks_as_in_fit(tmp_path):
    """Beyond the size of a block, 64 MB, which the small ones of other tests never reach."""
    X = np.memmap(tmp_path / "X", np.uint8, "w+", shape=(40_000, 2000))
    X[...] = np.random.default_rng(0).integers(0, 256, (40_000, 2000), np.uint8)
    y = np.arange(40_000) % 3
    options = {"n_shards": 1, "rounds": 1, "batch_size": 1000}
    net = [MLP([2000, 3], input_scale=1 / 255, random_state=0) for _ in range(3)]
    found = file_of(fit(X, y, net=net[0], **options))
    expected = net[1].fit(X, y, epochs=1, batch_size=1000)
    assert found == file_of(expected)
    shuffled = fit(np.asarray(X), y, net=net[2], **options)
    assert file_of(shuffled) != found
