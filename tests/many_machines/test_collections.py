"""Shards of dask arrays and data frames: the same bits from whatever chunks, each read once."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmlp.dask
from fastmlp import MLP
from fastmlp.dask import collections
from helpers.same_bits import assert_same_bits, file_of

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")

SIZES = [5, 7, 3]
N = 41


@pytest.fixture
def data(make_data):
    X, y = make_data(SIZES, N)
    return X, y, np.random.default_rng(1).random(N)


def make(**options):
    return MLP(SIZES, **{"random_state": 0} | options)


def fit(X, y, sample_weight=None, net=None, **options):
    options = {"client": False, "rounds": 2, "n_shards": 3, "batch_size": 4} | options
    return fastmlp.dask.fit(net or make(), X, y, sample_weight=sample_weight, **options)


def of_unknown_length(array):
    """Return the array with lengths that only computing tells."""
    kept = array[array[:, 0] == array[:, 0]] if array.ndim == 2 else array[array == array]
    assert np.isnan(kept.shape[0])
    return kept


# Chunks ------------------------------------------------------------------------------------------


def chunks(n, at_most):
    """Lengths with the sum n, some of them 0."""
    cuts = st.lists(st.integers(0, n), max_size=at_most)
    return cuts.map(lambda found: tuple(np.diff([0, *sorted(found), n]).tolist()))


@settings(max_examples=40, deadline=None)
@given(
    chunks(N, 8), chunks(5, 3), chunks(N, 8), chunks(N, 8), st.integers(1, 9),
    st.sampled_from([0, 1, 10**9]), st.lists(st.booleans(), min_size=3, max_size=3),
)  # fmt: skip
def test_the_bits_do_not_depend_on_chunks(rows, columns, of_y, of_w, n_shards, at_once, unknown):
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(N, 5)), rng.integers(0, 3, N), rng.random(N)
    expected = fit(X, y, w, n_shards=n_shards)
    lazy = [
        da.from_array(X, chunks=(rows, columns)),
        da.from_array(y, chunks=(of_y,)),
        da.from_array(w, chunks=(of_w,)),
    ]
    lazy = [of_unknown_length(a) if is_so else a for a, is_so in zip(lazy, unknown, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collections, "GROUP_BYTES", at_once)
        found = fit(*lazy, n_shards=n_shards)
    assert file_of(found) == file_of(expected)


def test_many_chunks_of_more_than_are_taken_together(make_data):
    """Beyond all constants: groups of several chunks, and several groups."""
    X = np.random.default_rng(0).normal(size=(20_000, 300))
    y = np.arange(20_000) % 3
    assert X.nbytes > collections.GROUP_BYTES
    lazy = da.from_array(X, chunks=(700, 150))
    options = {"n_shards": 4, "rounds": 1, "batch_size": 500}
    found = fit(lazy, da.from_array(y, chunks=999), net=MLP([300, 3], random_state=0), **options)
    expected = fit(X, y, net=MLP([300, 3], random_state=0), **options)
    assert file_of(found) == file_of(expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint8, bool, np.int64])
def test_types(data, dtype):
    X, y, _ = data
    X = (np.abs(X) * 3).astype(dtype)
    found = fit(da.from_array(X, chunks=(9, 2)), da.from_array(y, chunks=10))
    assert file_of(found) == file_of(fit(X, y))


def test_blocks_of_other_kinds(data):
    sparse = pytest.importorskip("scipy.sparse")
    X, y, w = data
    lazy = da.from_array(X, chunks=(10, 3))

    def read_only(block):
        block = block.copy()
        block.flags.writeable = False
        return block

    assert file_of(fit(lazy.map_blocks(read_only), y)) == file_of(fit(X, y))
    assert file_of(fit(lazy.map_blocks(np.asfortranarray), y)) == file_of(fit(X, y))
    expected = file_of(fit(sparse.csr_matrix(X), y, w))
    for kind in (sparse.csr_matrix, sparse.csr_array, sparse.coo_array):
        found = fit(lazy.map_blocks(kind), da.from_array(y, chunks=6), da.from_array(w, chunks=50))
        assert file_of(found) == expected
    one_hot = np.eye(3)[y]
    lazy_y = da.from_array(one_hot, chunks=(7, 2))
    assert file_of(fit(lazy, lazy_y)) == file_of(fit(X, one_hot))
    assert file_of(fit(lazy, lazy_y.map_blocks(sparse.csr_array))) == file_of(fit(X, one_hot))


def test_masked_blocks_are_refused(data):
    X, y, _ = data
    masked = da.ma.masked_greater(da.from_array(X, chunks=(10, 3)), X.max() - 1e-9)
    with pytest.raises(ValueError, match="`X` must have no masked values, got 1 masked value"):
        fit(masked, y)


def test_values_of_two_dimensions(data):
    X, y, w = data
    targets = np.random.default_rng(0).random((N, 3))
    lazy = da.from_array(X, chunks=(10, 5)), da.from_array(targets, chunks=(9, 2))
    nets = [make(loss="squared_error") for _ in range(2)]
    assert file_of(fit(*lazy, w, nets[0])) == file_of(fit(X, targets, w, nets[1]))


def test_mixtures_of_arrays_in_memory_and_lazy_ones(data):
    X, y, w = data
    lazy = da.from_array(X, chunks=(10, 5)), da.from_array(y, chunks=9), da.from_array(w, chunks=8)
    expected = file_of(fit(X, y, w))
    for which in range(1, 8):
        mixed = [lazy[k] if which >> k & 1 else (X, y, w)[k] for k in range(3)]
        assert file_of(fit(*mixed)) == expected
    assert file_of(fit(lazy[0], y.tolist(), w.tolist())) == expected
    assert file_of(fit(pd.DataFrame(X), lazy[1], pd.Series(w))) == expected


# Data frames -------------------------------------------------------------------------------------


@pytest.fixture
def table(data):
    X, y, w = data
    index = np.random.default_rng(3).permutation(N) + 0.5
    return pd.DataFrame(X, columns=list("abcde"), index=index).assign(y=y, w=w)


@pytest.mark.parametrize("n", [1, 3, 6])
def test_data_frames(table, n):
    names = list("abcde")
    lazy = dd.from_pandas(table, npartitions=n, sort=False)
    found = fit(lazy[names], lazy["y"], lazy["w"])
    assert found.feature_names_in_.tolist() == names
    assert file_of(found) == file_of(fit(table[names], table["y"], table["w"]))
    expected = fit(table[names].to_numpy(), table["y"].to_numpy())
    assert_same_bits(fit(lazy[names], lazy[["y"]]), expected)
    assert_same_bits(fit(lazy[names].values, lazy["y"].values), expected)
    assert_same_bits(fit(lazy[names], table["y"].to_numpy()), expected)


def test_later_data_frames_must_have_the_same_columns(table):
    lazy = dd.from_pandas(table, npartitions=3)
    net = fit(lazy[list("abcde")], lazy["y"])
    with pytest.raises(ValueError, match="got 'd' in place of 'c' at position 2"):
        fit(lazy[list("abdce")], lazy["y"], net=net)
    before = file_of(net)
    fit(da.from_array(table[list("abcde")].to_numpy()), table["y"], net=net)
    assert net.feature_names_in_.tolist() == list("abcde") and file_of(net) != before


def test_partitions_without_rows_and_their_types_do_not_count(table):
    empty = table.iloc[:0].astype(object)
    parts = [empty, table.iloc[:15], empty, table.iloc[15:], empty]
    lazy = dd.from_map(lambda k: parts[k], range(5), meta=table)
    names = list("abcde")
    found = fit(lazy[names], lazy["y"])
    assert file_of(found) == file_of(fit(table[names], table["y"]))
    X, y = table[names].to_numpy(), table["y"].to_numpy()
    lazy = da.from_array(X, chunks=((0, 10, 0, N - 10), 5))
    lazy = lazy.map_blocks(lambda rows: rows if len(rows) > 0 else rows.astype("U1"), dtype=float)
    assert file_of(fit(lazy, y)) == file_of(fit(X, y))


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.astype({"b": "Float64"}),
        lambda table: table.assign(b=table["b"].round().astype("Int64")),
        lambda table: table.assign(b=pd.Categorical([1, 2] * 20 + [1])),
        lambda table: table.assign(b=table["b"] > 0),
        lambda table: table.assign(b=table["b"].astype("Float64").mask(table["y"] == 1)),
        lambda table: table.assign(b=pd.Categorical(["x"] * N)),
        lambda table: table.assign(b=pd.array(["x"] * N, dtype="string")),
        lambda table: table.assign(b=pd.Timestamp("2026-01-01")),
        lambda table: table.assign(b=table["b"].where(table["y"] != 1)),
    ],
)  # fmt: skip
def test_columns_of_other_types_give_what_they_give_in_pandas(table, change):
    table, names = change(table), list("abcde")
    lazy = dd.from_pandas(table, npartitions=4, sort=False)
    try:
        expected = make().fit(table[names], table["y"], epochs=1)
    except (TypeError, ValueError) as error:
        # of the first shard, whose first row need not be the first of all
        with pytest.raises(type(error)) as found:
            fit(lazy[names], lazy["y"])
        got, wanted = str(found.value), str(error)
        assert (
            got.startswith("shard ")
            and got.split("row")[0].split(": ", 1)[1] == (wanted.split("row")[0])
        )
        row = int(got.split("in row ")[1].split(" ")[0])
        assert row % 3 == int(got[6]) and not _is_number(table["b"].iloc[row])
    else:
        found = fit(lazy[names], lazy["y"], n_shards=1, rounds=1, batch_size=32)
        assert_same_bits(found, expected)


def _is_number(value):
    return isinstance(value, (int, float, np.number)) and value == value


# What is computed --------------------------------------------------------------------------------

COUNTS = Counter()


def part(k):
    COUNTS[k] += 1
    rng = np.random.default_rng(k)
    return pd.DataFrame(rng.normal(size=(10, 5)), columns=list("abcde")).assign(y=k % 3, w=1.0 + k)


def block(block_info=None):
    COUNTS[block_info[None]["chunk-location"]] += 1
    return np.ones(block_info[None]["chunk-shape"])


@pytest.fixture(params=[False, True], ids=["in this process", "on a cluster"])
def client(request):
    if not request.param:
        yield False
        return
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(processes=False, **options) as cluster:
        with distributed.Client(cluster) as found:
            yield found


def test_every_chunk_is_computed_once_for_all_shards(client, monkeypatch):
    monkeypatch.setattr(collections, "GROUP_BYTES", 600)
    made = da.map_blocks(block, chunks=((6,) * 5, (7,)), dtype=float)
    COUNTS.clear()
    fit(made[:, :5] * 2, made[:, 5], made[:, 6] + 1, client=client, n_shards=4)
    assert len(COUNTS) == 5 and set(COUNTS.values()) == {1}
    table = dd.from_map(part, range(5), meta=part(0))
    for validation in (None, (table[list("abcde")], table["y"])):
        COUNTS.clear()
        X = table[list("abcde")] * 2
        fit(X, table["y"], table["w"], client=client, n_shards=4, validation_data=validation)
        times = 1 if validation is None else 2
        assert len(COUNTS) == 5 and set(COUNTS.values()) == {times}


def test_the_bits_of_a_cluster(client, data):
    X, y, w = data
    lazy = da.from_array(X, chunks=(10, 3)), da.from_array(y, chunks=9), da.from_array(w, chunks=8)
    validation = (lazy[0][:9], y[:9])
    found = fit(*lazy, client=client, validation_data=validation)
    assert file_of(found) == file_of(fit(X, y, w, validation_data=(X[:9], y[:9])))


def test_parts_of_a_chunk_do_not_keep_it():
    chunk = np.ones((1000, 3))
    for group in ([[chunk]], [[chunk[:0]], [chunk]]):
        rows = collections._rows(group, 0, 1, 50)
        assert rows.shape == (20, 3) and rows.base is None
    of_only_shard = collections._rows([[chunk]], 0, 0, 1)
    assert np.shares_memory(of_only_shard, chunk)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_moved_as_the_network_reads_them(data, dtype, monkeypatch):
    seen, read = set(), collections._read

    def watched(form, shard, parts, lengths):
        for name, each in zip("Xyw", parts, strict=True):
            seen.update((name, rows.dtype) for rows in each or ())
        return read(form, shard, parts, lengths)

    monkeypatch.setattr(collections, "_read", watched)
    X, y, w = (each.astype(np.float64) for each in data)
    lazy = da.from_array(X, chunks=(9, 2)), da.from_array(y, chunks=10), da.from_array(w)
    found = fit(*lazy, net=make(dtype=dtype))
    float64 = np.dtype(np.float64)
    assert seen == {("X", np.dtype(dtype)), ("y", float64), ("w", float64)}
    assert file_of(found) == file_of(fit(X, y, w, net=make(dtype=dtype)))
    X[7, 1] = 1e300
    if dtype is np.float32:
        with pytest.raises(ValueError, match="^shard 1: .* infinity in row 7 .as float32"):
            fit(da.from_array(X, chunks=(9, 2)), lazy[1])


def test_only_chunks_of_few_bytes_are_taken_together():
    def groups(array):
        source = collections._source(array, "X", lambda *parts: "-".join(map(str, parts)))
        return [len(group) for group in source.groups], source.starts

    million = da.zeros((10**6, 4), chunks=(10**5, 4), dtype=np.float32)  # 1.6 MB
    assert groups(million) == ([10], [0])
    assert groups(da.zeros(10**7, chunks=2 * 10**6)) == ([2, 2, 1], [0, 4 * 10**6, 8 * 10**6])
    assert groups(da.zeros(10**8, chunks=4 * 10**7))[0] == [1, 1, 1]
