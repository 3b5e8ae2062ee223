"""The zip file, its members and its JSON are not trusted."""

import io
import json
import pickle
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from helpers import model_files
from helpers.hostile_files import NO_LAYERS, NO_RATES, arrays_like, load, refused
from helpers.model_files import DELETED, Parts

NAN, INF = float("nan"), float("inf")


def peak_of(content):
    """Return the peak memory in bytes while a file is refused."""
    tracemalloc.start()
    try:
        refused(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def zipped(members, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(descr, shape, content=b"", order=False):
    """Return an .npy file with an arbitrary header."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": descr, "fortran_order": order, "shape": shape}
    )
    return file.getvalue() + content


def members(name="checkpoint_3"):
    with zipfile.ZipFile(model_files.DATA / f"{name}.npz") as archive:
        return {each: archive.read(each) for each in archive.namelist()}


def test_no_memory_is_asked_for_that_the_file_does_not_hold():
    for layers in ([60000, 60000, 3], [5, 2**31 - 1, 3], [2**31 - 1] * 3):
        parts = Parts("checkpoint_3").change("arguments.layers", layers)
        assert peak_of(parts.content()) < 2e6
    bomb = Parts("checkpoint_3")
    bomb.arrays["weights_0"] = np.zeros((4, 10**6), np.float32)
    assert peak_of(bomb.content(np.savez_compressed)) < 2e6


@pytest.mark.parametrize(
    "member",
    [
        header("<U1000000", ()), header("<U1000000", (1000,)), header("<f4", (2**31, 2**31)),
        header("<f4", (4, 5)), header("<f4", (4, 5), bytes(79)), header("<f4", (4, 5), bytes(81)),
        header("<f4", (-4, -5), bytes(80)), header("<f4", (4, 5, 2**62), bytes(80)),
        header("<f4", (0,) * 100), header("<f4", (0, 2**62, 2**62)), header("<U0", (10**12,)),
        header("|O", (4, 5), pickle.dumps([0.0] * 20)), header("|V80", (), bytes(80)),
        header([("a", "<f4", (4, 5))], (), bytes(80)), header([("a", "<f4")], (4, 5), bytes(80)),
        header("<c8", (4, 5), bytes(160)), header("<f4", (20,), bytes(80)), header("<M8[s]", ()),
        header("<f4", (5, 4), bytes(80)), header("<i4", (4, 5), bytes(80)),
        b"", b"\x93NUMPY", b"\x93NUMPY\1\0\xff\xff", b"\x93NUMPY\2\0\xff\xff\xff\xff",
        b"\x93NUMPY\1\0\4\0((((", b"\x93NUMPY\1\0\x10\x27" + b"(" * 10000,
        b"\x93NUMPY\4\0" + header("<f4", (4, 5), bytes(80))[8:10] + b"\0\0"
        + header("<f4", (4, 5), bytes(80))[10:],
    ],
)  # fmt: skip
def test_members_that_lie_are_refused(member):
    for target in ("weights_0.npy", "network.npy"):
        content = zipped({**members(), target: member}.items())
        assert peak_of(content) < 2e6


def test_arrays_may_lie_in_another_order():
    # As user functions do, for example in `init`.
    array = np.arange(20, dtype=">f4").reshape(4, 5)
    stored = header(">f4", (4, 5), array.tobytes("F"), order=True)
    loaded = load(zipped({**members(), "weights_0.npy": stored}.items()))
    assert np.array_equal(loaded.weights[0], array)


def test_zips_that_no_one_else_writes_are_refused():
    honest = members()
    everything = list(honest.items())
    load(zipped(everything))
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused(zipped(everything, compression=method), "(it is compressed")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped([*everything, everything[1]])
    refused(twice)
    refused(zipped([*everything, ("weights_0", honest["weights_0.npy"])]))
    refused(zipped([*everything, ("other.npy", npy(np.zeros(3)))]), "that nothing refers to")
    refused(zipped([*everything, ("../other.txt", b"text")]), "that nothing refers to")
    for name in honest:
        refused(zipped([(each, content) for each, content in everything if each != name]))
    whole = zipped(everything)
    start = whole.index(honest["weights_0.npy"])
    for size in (0, 10, 2**20, 2**31, 2**32 - 2):  # in the directory at the end
        for at in (20, 24):
            entry = whole.rindex(b"PK\1\2", 0, whole.rindex(b"weights_0.npy"))
            for places in ((at,), (20, 24)):
                lie = bytearray(whole)
                for place in places:
                    lie[entry + place : entry + place + 4] = size.to_bytes(4, "little")
                assert peak_of(bytes(lie)) < 2e6
    for flag in (1, 0x40):  # encrypted
        lie = bytearray(whole)
        lie[entry + 8] |= flag
        refused(bytes(lie))
    assert start > 0


def test_members_that_share_their_bytes_are_refused():
    # Each array is its own header, and all of the next member: 100 of them of 1 MB in a file of 1.
    names, content, headers = [f"m{i}" for i in range(100)], npy(np.zeros(10**6, np.uint8)), []
    for name in names:
        if headers:
            inner = headers[-1][1] + content
            content = header("|u1", (len(inner),), inner)
        info = zipfile.ZipInfo(f"{name}.npy")
        info.CRC, info.file_size, info.compress_size = zlib.crc32(content), *[len(content)] * 2
        headers.append((info, info.FileHeader()))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        parts = Parts("checkpoint_3")
        state = {name: {"array in this file": name} for name in names}
        parts.change("fit.callback_states.2", state)
        for name, member in members().items():
            if name != "network.npy":
                archive.writestr(name, member)
        archive.writestr("network.npy", npy(np.array(json.dumps(parts.plain))))
        end = file.tell() + len(headers[-1][1]) + len(content)
        file.write(headers[-1][1] + content)
        for info, own in headers[::-1]:
            info.header_offset = end - info.file_size - len(own)
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
        archive.start_dir, archive._didModify = end, True
    assert len(file.getvalue()) < 1.2e6
    with zipfile.ZipFile(file) as archive:
        assert len(archive.infolist()) > 100 and archive.getinfo("m0.npy").file_size > 10**6
    refused(file.getvalue(), "(its members overlap")


@pytest.mark.parametrize(
    "text",
    [
        "9" * 100, "[" * 200 + "]" * 200,
        "", "{", "[]", "null", "3", '"text"', "[" * 10**5, "[" * 10**5 + "]" * 10**5,
        '{"a":' * 10**5, "1" * 10**6, "-" + "9" * 5000, "1e999", "NaN", "{" * 100, "\0", "\ufffe",
    ],
)  # fmt: skip
def test_json_of_any_kind_is_refused(text):
    honest = str(np.load(model_files.DATA / "checkpoint_3.npz")["network"])
    inside = honest.replace('"seen": ', f'"seen": {text}, "seen": ', 1)
    deep = honest.replace('"best": ', f'"own": {text}, "best": ', 1)
    for each in (text, inside, deep):
        if each is deep and text in ("[]", "null", "3", '"text"', "1e999", "NaN"):
            continue  # a callback may keep anything
        with np.errstate(all="ignore"):
            refused(zipped({**members(), "network.npy": npy(np.array(each))}.items()))


def test_a_key_that_is_there_twice_is_refused():
    honest = str(np.load(model_files.DATA / "checkpoint_3.npz")["network"])
    twice = honest.replace('"fitted": true', '"fitted": true, "fitted": true', 1)
    refused(zipped({**members(), "network.npy": npy(np.array(twice))}.items()), "a key twice")


def test_an_array_is_referred_to_once():
    place = {"array in this file": "weights_0"}
    refused(Parts("checkpoint_3").change("fit.callback_states.0.weights", [place] * 2).content())
    for name in ("network", "none", 3, None, ["weights_0"], {}):
        refused(Parts("mlp_3").change("weights.0", {"array in this file": name}).content())


@pytest.mark.parametrize("name", ["neural_net_1", "neural_net_2"])
def test_files_of_older_formats_are_not_trusted_either(name):
    parts = Parts(name)
    for place, values in {
        "layers": [*NO_LAYERS[4:-1], [5, 4, 3, 3]],
        "learning_rate": NO_RATES,
        "reg_lambda": NO_RATES,
        "dtype": ("float16", "U1000000", None),
        "history_": ([], {"loss": 3}, {"loss": ["a"]}, DELETED),
        "random_state": (3, {}, {"kind": "Generator", "state": {"bit_generator": "MT19937"}}),
        "format_version": (0, 3, 2.0, True),
    }.items():
        for value in values:
            refused(parts.copy().change(place, value).content())
    for wrong in arrays_like(parts.arrays["weights_0"].astype(np.float32), "weights"):
        if wrong.dtype == parts.arrays["weights_0"].dtype and wrong.shape == (4, 5):
            if np.isfinite(wrong).all():
                continue
        other = parts.copy()
        other.arrays["weights_0"] = wrong
        refused(other.content())
