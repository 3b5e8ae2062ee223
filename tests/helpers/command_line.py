"""Run the command line, in this process or another."""

import os
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from helpers.same_bits import arrays_of

PACKAGE_ROOT = Path(fastmlp.__file__).parents[1]


# The tests run in temporary folders, out of sight of a package that is not installed.
PATHS = [str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)}


ENVIRONMENT["PYTHONFAULTHANDLER"] = "1"  # SIGABRT prints the stacks of a process that hangs


def start(folder, *args):
    return subprocess.Popen(
        [sys.executable, "-m", "fastmlp", *map(str, args)],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(folder, *args):
    """Run a command to its end; return exit code, output and errors."""
    with start(folder, *args) as process:
        try:
            out, err = process.communicate(timeout=200)
        finally:
            process.kill()
    return process.returncode, out.decode(), err.decode()


def succeed(folder, *args, run=run):
    code, out, err = run(folder, *args)
    assert code == 0, err
    assert "Traceback" not in err
    return out


def refused(folder, *args, run=run):
    """Run a command that is to end with one line; return the output and that line.

    No file of the folder may have changed.
    """
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, out, err = run(folder, *args)
    assert code == 2
    assert re.fullmatch(r"fastmlp: error: [^\n]+\n", err), err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    return out, err


def interrupted(folder, *args, wait_for, handler=signal.default_int_handler):
    """Interrupt a command; return how it ended, with its stacks if it did not.

    Parameters
    ----------
    wait_for : bytes
        A pattern of its errors or its bar, after which it is interrupted.
    handler
        Of this process, which decides whether the command is started with Ctrl-C ignored, as by a
        shell that starts it in the background.
    """
    before = signal.signal(signal.SIGINT, handler)
    try:
        process = start(folder, *args)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            seen = b""
            while not re.search(wait_for, seen):
                more = os.read(process.stderr.fileno(), 1000)
                assert more, seen
                seen += more
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=200)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            pytest.fail(f"no end after SIGINT: {process.communicate()[1].decode()[-5000:]}")
        finally:
            process.kill()
    return process.returncode, out.decode(), err.decode()


def pack_idx(array):
    """IDX bytes of a uint8 array, made without the package."""
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def make_images(n_samples=100, seed=0):
    """Images of 4 x 6 bytes, bright on the left for label 0, on the right for label 1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n_samples).astype(np.uint8)
    images = rng.integers(0, 100, (n_samples, 4, 6)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 3 * label : 3 * label + 3] += 100
    return images, labels


def field(out, name):
    """The number after ``name:`` in the output."""
    found = re.search(rf"^{name}: (\S+)", out, re.MULTILINE)
    assert found, out
    return float(found[1])


def weights_of(path):
    return arrays_of(fastmlp.NeuralNet.load(path))


def warnings_of(err):
    """Return the warnings in the standard error, where a progress bar may precede them."""
    return re.findall(r"(?:^|\r)fastmlp: warning: ([^\r\n]+)$", err, re.MULTILINE)
