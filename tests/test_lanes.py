"""Every vector width and another processor's tiles, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+sse4.2,+bmi,+bmi2",
}
WITHOUT_FMA = {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "+sse4.2"}
LANES = {f"{lanes} lanes": {"FASTMLP_LANES": str(lanes)} for lanes in (4, 8, 16)}

x86 = pytest.mark.skipif(
    os.uname().machine != "x86_64" if hasattr(os, "uname") else False, reason="x86-64 processors"
)

DIGEST = """
import hashlib, numpy as np, scipy.sparse
from fastmlp import MLP, NeuralNet, datasets
from fastmlp.core import processor
from fastmlp.core.activations import ACTIVATIONS
from fastmlp.losses import LOSSES
from fastmlp.optimizers import OPTIMIZERS
X, y = datasets.digits()
X[::2] *= X[::2] > 14  # where most is zero, training passes over it
digest = hashlib.sha256()
for dtype in ("float32", "float64"):
    for sizes, batch_size in (([64, 100, 17, 10], 33), ([64, 30, 10], 1), ([64, 10], 1797)):
        net = NeuralNet(sizes, 0.1, output_activation="identity", dtype=dtype, random_state=0)
        net.fit(X / 16, y, epochs=1, batch_size=batch_size)
        digest.update(b"".join(w.tobytes() for w in [*net.weights, *net.biases]))
        digest.update(net.predict_proba(X / 16).tobytes() + repr(net.history_).encode())
for form in (X.astype(np.uint8), X.astype(np.float16), scipy.sparse.csr_matrix(X)):
    net = NeuralNet([64, 100, 10], 0.1, dtype="float32", input_scale=1 / 16, random_state=0)
    net.fit(form, y, epochs=1)
    digest.update(b"".join(w.tobytes() for w in net.weights))
hidden = [name for name in ACTIVATIONS if name != "identity"]
for loss, optimizer in zip(LOSSES, OPTIMIZERS, strict=True):
    mlp = MLP(
        [64, 24, 20, 17, 16, 15, 9, 8, 12, 10], activation=hidden, loss=loss, optimizer=optimizer,
        learning_rate=1e-3, l2=1e-4, l1=1e-5, dropout=0.1, input_noise=0.1, max_norm=2.0,
        clip_norm=1.0 if optimizer != "adam" else None, input_scale=1 / 16, random_state=0,
    )
    mlp.fit(X, y if loss == "softmax" else np.eye(10)[y], epochs=2, batch_size=33)
    assert np.isfinite(mlp.history_["loss"]).all()
    digest.update(b"".join(w.tobytes() for w in [*mlp.weights, *mlp.biases]))
    digest.update(mlp._outputs(X).tobytes() + repr(mlp.history_).encode())
wide = np.tile(X, 18)[:, :1100]
for i, width in enumerate((121, 129, 200, 256, 257, 300, 520, 1100)):
    places = ([64, width, 17, 10], [width, 70, 10], [64, 40, width, 10])
    for dtype in ("float32", "float64"):
        mlp = MLP(
            places[i % 3], activation=hidden[i], optimizer=list(OPTIMIZERS)[i % 7],
            learning_rate=1e-2, l2=1e-4, dropout=0.1 * (i % 2), max_norm=None if i % 4 else 1.0,
            clip_norm=0.5, input_scale=1 / 16, dtype=dtype, random_state=0,
        )
        inputs = wide[:100, : mlp.layers[0]]
        mlp.fit(inputs, y[:100], epochs=1, batch_size=33)
        digest.update(b"".join(w.tobytes() for w in [*mlp.weights, *mlp.biases]))
        digest.update(mlp._outputs(inputs).tobytes() + repr(mlp.history_).encode())
        # In float32 the weights seldom show that these were added in another order.
        squares = mlp._state.descent._squares
        digest.update(squares[squares != 0].tobytes())
    net = NeuralNet([width, 257, width, 10], 0.1, dtype="float32", random_state=0)
    net.fit((wide if i % 2 else scipy.sparse.csr_matrix(wide))[:100, :width], y[:100], epochs=1)
    digest.update(b"".join(w.tobytes() for w in net.weights))
print(processor.LANES, processor.REGISTERS, processor.FUSED, digest.hexdigest())
"""


def run(arguments, settings):
    result = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "FASTMLP_LANES": "", **settings},
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "settings",
    [
        *(pytest.param(settings, id=name) for name, settings in LANES.items()),
        pytest.param(AVX2, id="AVX2", marks=x86),
        pytest.param(WITHOUT_FMA, id="no fused multiply-add", marks=x86),
    ],
)
def test_the_formulas_hold(settings):
    """All of test_training.py, compiled for another width or processor."""
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_training.py"]
    assert " passed" in run([*arguments, "-k", "not mnist"], settings)


@pytest.mark.timeout(600)
def test_the_same_bits_on_every_width():
    from fastmlp.core import processor

    if not processor.FUSED:
        pytest.skip("promised where multiply-adds are fused")
    found = {name: run(["-c", DIGEST], settings).split() for name, settings in LANES.items()}
    assert [lanes for lanes, *_ in found.values()] == ["4", "8", "16"]
    if processor.X86:
        found["AVX2"] = run(["-c", DIGEST], AVX2).split()
        assert found["AVX2"][:3] == ["8", "16", "True"]
    assert len({digest for *_, digest in found.values()}) == 1, found


def test_a_width_that_is_none_of_them_is_refused():
    result = subprocess.run(
        [sys.executable, "-c", "import fastmlp; fastmlp.NeuralNet"],
        env={**os.environ, "FASTMLP_LANES": "7"},
        capture_output=True,
        text=True,
    )
    assert "ValueError: FASTMLP_LANES is '7'; accepted are 4, 8 and 16" in result.stderr
