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

OTHER_LANES = {
    name: settings for name, settings in LANES.items() if name != f"{processor.LANES} lanes"
}
EXACT = ["activations", "random bits"]  # without sums, so FMA makes no difference
#: What the other two widths compute. Every part that trains takes ten seconds to compile, so each
#: width has half of them: both dtypes, with basic kernels and with all options.
HALVES = [
    [*EXACT, "basic float32", "all float64", "float16"],
    [*EXACT, "basic float64", "all float32", "uint8", "sparse"],
]
assert {part for half in HALVES for part in half} == set(PARTS)
COMPUTED = {"this processor": [*PARTS], **dict(zip(OTHER_LANES, HALVES, strict=True))}
SETTINGS = {"this processor": {}, **OTHER_LANES}
if IS_X86:
    COMPUTED["without FMA"], SETTINGS["without FMA"] = EXACT, WITHOUT_FMA
if IS_X86 and (processor.LANES, processor.REGISTERS) != (8, 16):
    COMPUTED["AVX2"] = [part for part in PARTS if part not in ("uint8", "float16", "sparse")]
    SETTINGS["AVX2"] = AVX2


@pytest.fixture(scope="module")
def processes():
    """Start two processes at a time; return futures of digests and of the output of pytest."""

    def compute(name):
        return digests(SETTINGS[name], COMPUTED[name] if processor.FUSED else EXACT)

    def test(name):
        arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "core/test_step.py"]
        return run([*arguments, "-k", "not mnist"], OTHERS[name])

    with ThreadPoolExecutor(2) as pool:
        tested = {name: pool.submit(test, name) for name in OTHERS}  # the slowest come first
        names = sorted(SETTINGS, key=lambda name: -len(COMPUTED[name]))
        yield {name: pool.submit(compute, name) for name in names}, tested


@pytest.fixture
def found(processes):
    """Return the digests for each width and processor."""
    return {name: future.result() for name, future in processes[0].items()}


def test_processes_compile_for_the_requested_processor(found):
    expected = {"AVX2": [8, 16, True], "without FMA": [4, 16, False]}
    for name, each in found.items():
        if name in OTHER_LANES:
            assert f"{each['processor'][0]} lanes" == name
        elif name in expected:
            assert each["processor"] == expected[name]


@pytest.mark.parametrize("part", PARTS)
def test_the_same_bits_on_every_width_and_processor(part, found):
    if part not in EXACT and not processor.FUSED:
        pytest.skip("promised where multiply-adds are fused")
    digest = {name: each[part] for name, each in found.items() if part in each}
    assert len({tuple(found[name]["processor"]) for name in digest}) > 1
    assert len(set(digest.values())) == 1, digest


#: Those whose bits may differ from this processor's: with FMA, all widths have the same.
OTHERS = {
    **({} if processor.FUSED else OTHER_LANES),
    **({"without FMA": WITHOUT_FMA} if IS_X86 else {}),
}


@pytest.mark.skipif(not OTHERS, reason="all have the bits of this processor")
@pytest.mark.parametrize("name", OTHERS)
def test_the_formulas_hold(name, processes):
    """All of test_step.py, compiled for a width or processor whose bits may differ."""
    assert " passed" in processes[1][name].result()


def test_an_unknown_width_is_refused():
    result = subprocess.run(
        [sys.executable, "-c", "import fastmlp; fastmlp.NeuralNet"],
        env={**os.environ, "FASTMLP_LANES": "7"},
        capture_output=True,
        text=True,
    )
    assert "ValueError: `FASTMLP_LANES` must be 4, 8 or 16, got '7'." in result.stderr
