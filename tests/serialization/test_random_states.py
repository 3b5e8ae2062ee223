"""Random states in files: restored to their position, or refused."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest

from fastmlp import MLP
from helpers.hostile_files import load, refused
from helpers.model_files import DELETED, Parts
from helpers.same_bits import assert_same_bits

NAN, INF = float("nan"), float("inf")


def words(n, value=1, bits=64):
    return {"array": [value] * n, "dtype": f"uint{bits}"}


def state_of(source):
    """Return the random state in a file that `source` is saved in, as plain values."""
    file = io.BytesIO()
    MLP([2, 2], random_state=source).save(file)
    return json.loads(str(np.load(io.BytesIO(file.getvalue()))["network"]))["random_state"]


SOURCES = {
    "MT19937": lambda: np.random.RandomState(3),
    "PCG64": lambda: np.random.default_rng(3),
    "PCG64DXSM": lambda: np.random.Generator(np.random.PCG64DXSM(3)),
    "Philox": lambda: np.random.Generator(np.random.Philox(3)),
    "SFC64": lambda: np.random.Generator(np.random.SFC64(3)),
}


NUMBERS = (-1, 2**200, 1.0, NAN, True, "1", None, [], {}, DELETED)
BITS = (*NUMBERS, 2)
RANDOM = [
    *(("MT19937", "state.pos", value) for value in (*NUMBERS, 625, 5000, 10**8, 2**31, 2**63)),
    *(("MT19937", "state.key", value) for value in (
        None, [], words(624, 0, 32), words(623, 1, 32), words(624, 2**32, 32), words(624, -1, 32),
        words(624, 1, 64), words(624, 1.0, 32), words(624, True, 32),
        {"array": ["1"], "dtype": "U1000000"}, {"array": [1] * 624, "dtype": "U1000000"},
        {"array": [1] * 624, "dtype": "object"}, {"array": [1] * 624},
    )),
    *(("MT19937", "has_gauss", value) for value in BITS),
    *(("MT19937", "gauss", value) for value in (NAN, INF, 1e300, "1", None, DELETED)),
    *(("PCG64", "state.state", value) for value in (*NUMBERS, 2**128)),
    *(("PCG64", "state.inc", value) for value in (*NUMBERS, 2**128, 2, 0)),
    *(("PCG64DXSM", "state.inc", value) for value in (*NUMBERS, 2**128 + 1, 4)),
    *(("Philox", "buffer_pos", value) for value in (*NUMBERS, 5, 10**8)),
    *(("Philox", "buffer", value) for value in (words(3), words(5), words(4, 1, 32), None)),
    *(("Philox", "state.counter", value) for value in (words(3), words(4, -1), DELETED)),
    *(("Philox", "state.key", value) for value in (words(4), words(2, 2**64))),
    *(("SFC64", "state.state", value) for value in (words(3), words(4, 1, 32), 3, None)),
    *(
        (kind, name, value)
        for kind in ("PCG64", "PCG64DXSM", "Philox", "SFC64")
        for name, values in (("has_uint32", BITS), ("uinteger", (*NUMBERS, 2**32)))
        for value in values
    ),
    *((kind, "bit_generator", value) for kind in SOURCES for value in (
        "Dummy", "", None, 1, [], *(set(SOURCES) - {kind, kind + "DXSM", kind.removesuffix("DXSM")})
    )),
    *((kind, "other", 1) for kind in SOURCES),
    *((kind, "state", value) for kind in SOURCES for value in (None, [], {}, 1)),
]  # fmt: skip


@pytest.mark.parametrize("kind", SOURCES)
def test_random_states_come_back(kind):
    for source in (SOURCES[kind](), np.random.RandomState(getattr(np.random, kind)(3))):
        mlp, file = MLP([2, 2], random_state=source), io.BytesIO()
        mlp.save(file)
        loaded = load(file.getvalue())
        drawn = [each._state.random.standard_normal(1000) for each in (mlp, loaded)]
        assert_same_bits(*drawn)


@pytest.mark.parametrize("kind", SOURCES)
def test_wrong_random_states_are_refused(kind):
    parts = Parts("neural_net_3").change("random_state", state_of(SOURCES[kind]()))
    load(parts.content())
    for of, place, value in RANDOM:
        if of == kind:
            refused(parts.copy().change(f"random_state.state.{place}", value).content())
    for value in ("Random", None, 3, DELETED):
        refused(parts.copy().change("random_state.kind", value).content())


@pytest.mark.parametrize("place", ["began_at", "random_position"])
def test_wrong_positions_in_checkpoints_are_refused(place):
    for name, value in [(name, value) for of, name, value in RANDOM if of == "MT19937"]:
        refused(Parts("checkpoint_3").change(f"fit.{place}.{name}", value).content())
    parts = Parts("checkpoint_3")
    key = f"fit_{place}_state_key"
    for array in (
        np.zeros(624, np.uint32), np.ones(623, np.uint32), np.ones(624, np.uint64),
        np.ones((624, 1), np.uint32), np.ones(624, np.int32), np.array(1, np.uint32),
    ):  # fmt: skip
        other = parts.copy()
        other.arrays[key] = array
        refused(other.content())


CRASH = """
import io, sys
import numpy as np
import fastmlp
net = fastmlp.load(io.BytesIO(sys.stdin.buffer.read()))
net.fit(np.zeros((3000, 5)), np.zeros(3000, int), epochs=1)
"""


@pytest.mark.parametrize(
    "kind, place, value",
    [("MT19937", "state.pos", 10**8), ("Philox", "buffer_pos", -(10**8))],
)
def test_no_position_ends_the_process(kind, place, value):
    parts = Parts("neural_net_3").change("random_state", state_of(SOURCES[kind]()))
    content = parts.change(f"random_state.state.{place}", value).content()
    process = subprocess.run([sys.executable, "-c", CRASH], input=content, capture_output=True)
    assert process.returncode == 1, process.returncode
    assert b"ValueError: `path` must be a network" in process.stderr
