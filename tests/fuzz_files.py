"""Valid model files, damaged at random: each is refused with one sentence, or works.

``tox -e fuzz -- --seconds 3600`` runs for an hour; `test_fuzz_files.py` runs some hundred cases.
A case depends on the seed and its number alone: ``--seed 3 --first 1234 --count 1`` repeats one.
"""

import argparse
import faulthandler
import io
import json
import math
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np

import fastmlp
import fastmlp.dask
from fastmlp import MLP, NeuralNet, losses, schedules
from fastmlp.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.sklearn import MLPClassifier, MLPRegressor
from helpers.model_files import DATA, DELETED, VALID
from helpers.same_bits import arrays_of, assert_same_bits, bits_of
from helpers.tables import table

MOST_SECONDS = 5.0  # of the processor, for one case
MOST_BYTES = 2**29  # more than the process has when it begins

HOSTILE = [
    None, True, False, 0, 1, -1, 2, 3, 4, 5, 7, 255, 624, 625, 2**16, 2**31 - 1, 2**31, 2**32,
    2**53 + 1, 2**61, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 2**128, 10**39, 10**60,
    0.0, -0.0, 0.5, 1.0, -0.5, 1e-320, 1e-40, 1e30, 1e300, -1e300, math.nan, math.inf, -math.inf,
    "", "0", "1.5", "relu", "adam", "sgd", "zeros", "float32", "float64", "U1000000", "object",
    "MLP", "NeuralNet", "Philox", "MT19937", "\0", "\ud800", "x" * 5000, [], [[]], [None], [0], [1],
    [0.5], [1, 2], [[1.0]], [5, 4, 3], [60000, 60000, 3], [1e400], {}, {"a": 1}, {"name": "sgd"},
    {"name": "constant", "rate": 1.0}, {"array in this file": "weights_0"},
    {"array in this file": "network"}, {"array": [1, 2, 3, 4], "dtype": "uint64"},
    {"array": [0] * 624, "dtype": "uint32"}, {"array": [1], "dtype": "U1000000"}, DELETED,
]  # fmt: skip
RESUMED = ("checkpoint", "rounds")
DTYPES = ("<f4", "<f8", ">f8", "<f2", "<c16", "|b1", "|u1", "<i8", "<U3", "<U1000000", "|O", "|V8")


# Valid files -------------------------------------------------------------------------------------


def data(net):
    """Return a few samples that a network can be trained on."""
    sizes = [net.weights[0].shape[1], net.weights[-1].shape[0]]
    X = np.random.default_rng(1).standard_normal((6, sizes[0]))
    if net.loss.task == "classes":
        return X, np.arange(6) % sizes[1]
    y = np.random.default_rng(2).random((6, sizes[1]))
    return X, (y > 0.5) * 1.0 if net.loss.task == "labels" else y


FRAME = table(12)


def estimators():
    """Return fitted estimators of all kinds, by name."""
    X, small = np.random.default_rng(1).standard_normal((12, 4)), {
        "hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0, "n_threads": 1
    }  # fmt: skip
    y, labels = X[:, 0], np.array(["a", "b", "c"] * 4)
    tables = small | {"preset": "tabular"}
    return {
        "classifier": MLPClassifier(**small, class_weight={"a": 2.0}).fit(X, labels),
        "multilabel": MLPClassifier(**small, solver="sgd").fit(X, (X > 0).astype(int)),
        "lbfgs": MLPClassifier(**small, solver="lbfgs").fit(X, labels == "a"),
        "regressor": MLPRegressor("poisson", **small, early_stopping=True).fit(X, y**2),
        "table": MLPClassifier(**tables).fit(FRAME, labels),
        "table of numbers": MLPRegressor(**tables).fit(FRAME, X[:, :2]),
    }


def checkpointed(folder):
    """Return a network and the arguments of its fit, for a checkpoint in a folder."""
    mlp = MLP([5, 4, 3], dropout=0.2, learning_rate=0.01, random_state=np.random.default_rng(1))
    callbacks = [EarlyStopping("loss"), ReduceLROnPlateau("loss"), ModelCheckpoint(folder / "c")]
    return mlp, {"epochs": 3, "batch_size": 3, "callbacks": callbacks}


def in_rounds(folder, **options):
    """Return a network, and a function that trains it in rounds."""
    mlp, _ = checkpointed(folder)
    callbacks = [ReduceLROnPlateau("loss")]
    options = {"client": False, "n_shards": 2, "rounds": 3, "callbacks": callbacks} | options
    return mlp, lambda: fastmlp.dask.fit(mlp, *data(mlp), **options)


def valid_files(folder):
    """Return the contents of files of all kinds, by name."""
    found = {name: (DATA / f"{name}.npz").read_bytes() for name in VALID}
    nets = {name: MLP([3, 2], optimizer=name, random_state=0) for name in OPTIMIZERS}
    for kind in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"):
        bits = getattr(np.random, kind)
        nets[f"{kind} new"] = NeuralNet([2, 2], random_state=np.random.Generator(bits(1)))
        nets[f"{kind} old"] = NeuralNet([2, 2], random_state=np.random.RandomState(bits(1)))
    nets["options"] = MLP(
        [3, 4, 4, 2], activation=["tanh", "elu"], loss=losses.Huber(2.0), l2=[0.1, 0.2, 0.0],
        learning_rate=schedules.WarmUp(schedules.Cosine(0.1, 9), 2), max_norm=[1.0, None, 2.0],
        init=[np.ones((4, 3)), np.eye(4), np.ones((2, 4))], clip_norm=1.0, input_noise=0.1,
        input_scale=np.arange(1.0, 4.0), dtype="float64", warm_start=False, random_state=None,
    )  # fmt: skip
    nets["labels"] = MLP([3, 2], loss="logistic", optimizer="adagrad", random_state=1)
    for name, net in nets.items():
        file = io.BytesIO()
        net.fit(*data(net), epochs=2, batch_size=4).save(file)
        found[name] = file.getvalue()
    for name, model in estimators().items():
        file = io.BytesIO()
        model.save(file, {"target": "y", "rows": [6, None, 0.5]})
        found[name] = file.getvalue()
    mlp, options = checkpointed(folder)
    mlp.fit(*data(mlp), **options | {"epochs": 2})
    found["checkpoint"] = (folder / "c").read_bytes()
    in_rounds(folder, rounds=2, checkpoint=folder / "r")[1]()
    found["rounds"] = (folder / "r").read_bytes()
    return found


# Damage ------------------------------------------------------------------------------------------


def choose(rng, values):
    values = list(values)
    return values[rng.integers(len(values))]


def flipped(rng, content):
    """Return bytes with some of them changed, removed, inserted or cut off."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(max(1, len(content))))
        what = rng.integers(8)
        if what < 4 and content:
            content[at] ^= 1 << int(rng.integers(8))
        elif what == 4 and content:
            content[at] = choose(rng, (0, 1, 127, 128, 255, 10, 34, 40, 44, 48, 57, 91, 93, 123))
        elif what == 5:
            content[at : at + int(rng.integers(1, 20))] = b""
        elif what == 6:
            content[at:at] = rng.bytes(int(rng.integers(1, 20)))
        else:
            del content[at:]
    return bytes(content)


def places(value, found, place=()):
    """Add every place in a JSON value to `found`."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        found.append((*place, key))
        if isinstance(part, (dict, list)) and len(part) < 100:
            places(part, found, (*place, key))
    return found


def damaged_json(rng, text):
    """Return JSON with a value replaced, removed, swapped or inserted."""
    state = json.loads(text)
    found = places(state, [])

    def at(place):
        target = state
        for key in place:
            target = target[key]
        return target

    *parents, last = choose(rng, found)
    target, value = at(parents), choose(rng, HOSTILE)
    if rng.random() < 0.25:
        value = json.loads(json.dumps(at(choose(rng, found))))
    if value is DELETED:
        del target[last]
    elif isinstance(target, dict) and rng.random() < 0.1:
        target[choose(rng, ("x", "fit", "name", "format", *(key for *_, key in found)))] = value
    elif isinstance(target[last], list) and rng.random() < 0.3:
        target[last].append(value)
    elif isinstance(target[last], (int, float)) and rng.random() < 0.3:
        target[last] = type(target[last])(target[last] + choose(rng, (-1, 1, -2, 100)))
    else:
        target[last] = value
    return json.dumps(state)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def damaged_array(rng, content):
    """Return an ``.npy`` of another array, or one with a wrong header."""
    array = np.load(io.BytesIO(content))
    kind = rng.integers(6)
    if kind == 0 and array.dtype.kind == "f" and array.size:
        array = array.copy()
        array.reshape(-1)[rng.integers(array.size)] = choose(
            rng, (np.nan, np.inf, -1.0, 1e30, 1e-45, 0.0)
        )
    elif kind == 1 and array.dtype.kind != "U":
        with np.errstate(all="ignore"):
            array = array.astype(choose(rng, ("f4", "f8", ">f4", "i4", "c8", "U5", "?", "f2")))
    elif kind == 2:
        array = choose(rng, (array.T, array.reshape(-1), array[None], array.reshape(-1)[:0]))
    elif kind == 3:
        array = np.asfortranarray(array)
    elif kind == 4:
        file = io.BytesIO()
        shape = choose(rng, ((), (3,), (2**40,), (2**31, 2**31), (0, 2**62), (-1,), (4, 5)))
        fields = {"descr": choose(rng, DTYPES), "fortran_order": bool(rng.integers(2))}
        np.lib.format.write_array_header_1_0(file, fields | {"shape": shape})
        return file.getvalue() + rng.bytes(int(rng.integers(200)))
    else:
        return flipped(rng, content)
    return npy(array)


def damaged(rng, content):
    """Return a file with some mistakes in it."""
    if rng.random() < 0.15:
        return flipped(rng, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    method = zipfile.ZIP_STORED
    for _ in range(rng.integers(1, 3)):
        kind, i = rng.random(), int(rng.integers(len(members)))
        if kind < 0.6:
            try:
                text = damaged_json(rng, np.load(io.BytesIO(members[0][1])).item())
            except Exception:  # already damaged
                continue
            members[0] = (members[0][0], npy(np.array(text)))
        elif kind < 0.9:
            try:
                members[i] = (members[i][0], damaged_array(rng, members[i][1]))
            except Exception:
                continue  # already damaged
        elif kind < 0.92:
            members.append((choose(rng, ("x.npy", "x", "../x.npy", members[i][0])), members[i][1]))
        elif kind < 0.94 and len(members) > 1:
            del members[i]
        elif kind < 0.96:
            members[i], members[0] = (members[i][0], members[0][1]), (members[0][0], members[i][1])
        elif kind < 0.98:
            method = choose(rng, (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        else:
            members.reverse()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, member in members:
            archive.writestr(name, member)
    content = file.getvalue()
    if rng.random() < 0.1:  # in the directory at the end
        at = content.rindex(b"PK\1\2") if rng.random() < 0.5 else content.index(b"PK\1\2")
        content = content[:at] + flipped(rng, content[at:])
    return content


# The checks --------------------------------------------------------------------------------------


def sentence(error):
    """Check that an error message is meant for users."""
    text = str(error)
    assert text and "\n" not in text and len(text) < 400, text
    assert not isinstance(error, UnicodeError), text


def try_to(function, *arguments, **options):
    """Return the result of a function; None if it refuses with one sentence."""
    try:
        return function(*arguments, **options)
    except ValueError as error:
        sentence(error)
    return None


def check_network(net):
    """Check that a loaded network is complete and works."""
    for array in arrays_of(net):
        assert np.isfinite(array).all()
    state = net._state
    for name, flat in state.optimizer.moments.items():
        assert np.isfinite(flat).all() and (name == "first" or (flat >= 0).all())
    assert 0 <= net.rate_factor < math.inf and 0 <= state.rows_seen < 2**63
    assert all(isinstance(values, list) for values in net.history_.values())
    repr(net)
    X, y = data(net)
    outputs = try_to(net.predict_proba if net.loss.task != "values" else net.predict, X)
    if max(abs(array).max() for array in arrays_of(net)) < 1e3 and outputs is not None:
        moderate = np.all(np.abs(net.input_scale) < 1e3) and np.all(np.abs(net.input_shift) < 1e3)
        assert not moderate or np.isfinite(outputs).all()
    if net._state.random is not None:
        net._state.random.standard_normal(3)
    try_to(net.partial_fit, X, y, batch_size=4)
    for array in arrays_of(net):
        assert np.isfinite(array).all()
    file = io.BytesIO()
    net.save(file)
    again = fastmlp.load(file)
    assert_same_bits(net, again)


def check_estimator(model):
    """Check that a loaded estimator is complete and works."""
    for array in (*model.coefs_, *model.intercepts_):
        assert np.isfinite(array).all()
    is_table = "encoder_" in vars(model)
    X = np.random.default_rng(1).standard_normal((6, model.n_features_in_))
    if is_table and list(getattr(model, "feature_names_in_", ())) == list(FRAME.columns):
        X = FRAME[:6]
    repr(model)
    predicted = try_to(model.predict, X)
    assert predicted is None or predicted.shape[0] == 6
    if predicted is not None and hasattr(model, "partial_fit"):
        try_to(model.partial_fit, X, predicted)
    file = io.BytesIO()
    if try_to(model.save, file) is None and file.getvalue():
        assert type(fastmlp.load(file)) is type(model)


def check_resume(name, content, folder):
    """Check that a fit resumes from a checkpoint, or refuses to and changes nothing."""
    (folder / "damaged").write_bytes(content)
    if name == "rounds":
        mlp, train = in_rounds(folder, resume=folder / "damaged")
        before, trained = bits_of(mlp), try_to(train)
    else:
        mlp, options = checkpointed(folder)
        before = bits_of(mlp)
        trained = try_to(mlp.fit, *data(mlp), resume=folder / "damaged", **options)
    if trained is None:
        assert bits_of(mlp) == before and mlp.history_ == {}
    for array in arrays_of(mlp):
        assert np.isfinite(array).all()
    return trained is not None


def check(content, folder):
    """Check one file; return whether it was accepted."""
    net = try_to(fastmlp.load, io.BytesIO(content))
    if isinstance(net, (MLP, NeuralNet)):
        check_network(net)
    elif net is not None:
        check_estimator(net)
    return net is not None


def limit_memory():
    """Limit the memory of this process to little more than it uses now, where possible."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    except (ImportError, OSError):
        pass


def run(seed, first, count, seconds, folder):
    """Check `count` files, or as many as fit in `seconds`; count those accepted and resumed from.

    Prints each case that fails, and returns how many did.
    """
    valid = valid_files(folder)
    for content in valid.values():
        assert check(content, folder)
    for name in RESUMED:
        assert check_resume(name, valid[name], folder)
    limit_memory()
    accepted = resumed = failed = 0
    end, i = time.monotonic() + seconds, first
    while i < first + count and time.monotonic() < end:
        rng = np.random.default_rng([seed, i])
        name = choose(rng, RESUMED if rng.random() < 0.25 else valid)
        content = damaged(rng, valid[name])
        faulthandler.dump_traceback_later(180, exit=True)
        began = time.process_time()
        try:
            accepted += check(content, folder)
            if name in RESUMED:
                resumed += check_resume(name, content, folder)
            assert time.process_time() - began < MOST_SECONDS, "it took too long"
        except Exception as error:
            failed += 1
            print(f"--seed {seed} --first {i} --count 1: {name}: {type(error).__name__}: {error}")
            if count == 1:
                raise
        faulthandler.cancel_dump_traceback_later()
        i += 1
    print(f"{i - first} files: {accepted} accepted, {resumed} resumed from, {failed} failed")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=600)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(run(**vars(options), folder=Path(folder)) > 0)


if __name__ == "__main__":
    main()
