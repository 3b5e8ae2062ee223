"""Every vector width and other processors' tiles, each in a subprocess."""

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastmlp.core.machine import processor
from helpers.processors import AVX2, LANES, PARTS, WITHOUT_FMA, digests, run

IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
pytestmark = pytest.mark.timeout(600)

EXACT = ["activations", "random bits"]  # without sums, so FMA makes no difference
#: What each width and processor computes. Every part that trains takes ten seconds to compile, so
#: not every width has every part; each has both dtypes, with basic kernels and with all options.
COMPUTED = {
    "this processor": [*PARTS],
    "4 lanes": [*EXACT, "basic float32", "all float64", "float16"],
    "8 lanes": [*EXACT, "basic float64", "all float32", "uint8"],
    "16 lanes": [*PARTS],
    "AVX2": [part for part in PARTS if part not in ("uint8", "float16")],
    "without FMA": EXACT,
}
SETTINGS = {"this processor": {}, **LANES}
SETTINGS |= {"AVX2": AVX2, "without FMA": WITHOUT_FMA} if IS_X86 else {}


@pytest.fixture(scope="module")
def found():
    """Return the digests for each width and processor, computed by two processes at a time."""

    def compute(name):
        return digests(SETTINGS[name], COMPUTED[name] if processor.FUSED else EXACT)

    with ThreadPoolExecutor(2) as pool:
        slowest_first = sorted(SETTINGS, key=lambda name: -len(COMPUTED[name]))
        return dict(zip(slowest_first, pool.map(compute, slowest_first), strict=True))


def test_processes_compile_for_the_requested_processor(found):
    assert [found[name]["processor"][0] for name in LANES] == [4, 8, 16]
    if IS_X86:
        assert found["AVX2"]["processor"] == [8, 16, True]
        assert found["without FMA"]["processor"] == [4, 16, False]


@pytest.mark.parametrize("part", PARTS)
def test_the_same_bits_on_every_width_and_processor(part, found):
    if part not in EXACT and not processor.FUSED:
        pytest.skip("promised where multiply-adds are fused")
    digest = {name: each[part] for name, each in found.items() if part in each}
    assert len({tuple(found[name]["processor"]) for name in digest}) > 1
    assert len(set(digest.values())) == 1, digest


#: Those whose bits may differ from this processor's: with FMA, all widths have the same.
OTHERS = {**({} if processor.FUSED else LANES), **({"without FMA": WITHOUT_FMA} if IS_X86 else {})}


@pytest.mark.skipif(not OTHERS, reason="all have the bits of this processor")
@pytest.mark.parametrize("name", OTHERS)
def test_the_formulas_hold(name):
    """All of test_step.py, compiled for a width or processor whose bits may differ."""
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "core/test_step.py"]
    assert " passed" in run([*arguments, "-k", "not mnist"], OTHERS[name])


def test_an_unknown_width_is_refused():
    result = subprocess.run(
        [sys.executable, "-c", "import fastmlp; fastmlp.NeuralNet"],
        env={**os.environ, "FASTMLP_LANES": "7"},
        capture_output=True,
        text=True,
    )
    assert "ValueError: `FASTMLP_LANES` must be 4, 8 or 16, got '7'." in result.stderr
