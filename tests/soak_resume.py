"""Kill random trainings at random moments, resume them, and compare every bit: `tox -e soak`.

    python tests/soak_resume.py [--seconds 600] [--seed 0] [--rounds N] [--first N]

A round trains once undisturbed. Then it trains, several times, in forked processes that are killed,
interrupted or fail inside a callback, at random moments, each of which goes on from the last
checkpoint, until one comes to the end. What all of them leave must be the same, byte by byte.

A round is known by the seed and its number, which are printed: `--seed 3 --first 17 --rounds 1`
draws the training again, though not the moments. POSIX only.
"""

import argparse
import faulthandler
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from helpers.killing import Begins, end_of, forked
from helpers.random_trainings import drawn

#: The hooks, and the largest number of calls before one is disturbed.
HOOKS = {
    "on_train_begin": 1, "on_epoch_begin": 9, "on_train_batch_end": 9, "on_epoch_end": 9,
    "on_train_end": 1, "state": 5,
}  # fmt: skip
RUNS = 5  # disturbed runs in a round
ATTEMPTS = 60  # after these, no more disturbances
LONGEST = 120  # seconds that a process may take
INTERRUPTED, WENT_ON = 75, 76  # exit codes, besides 0


class Planned(Exception):
    """What a callback raises."""


class Disturbs(Begins):
    """Calls `act`, which ends the training, the n-th time that a hook is called."""

    def __init__(self, hook=None, n=1, act=None):
        self.hook, self.left, self.act = hook, n, act


def _counting(name):
    def hook(self, *arguments):
        if name == self.hook:
            self.left -= 1
            if self.left == 0:
                self.act()
        return getattr(Begins, name)(self, *arguments)

    return hook


for _name in HOOKS:
    setattr(Disturbs, _name, _counting(_name))


def fail():
    raise Planned


def kill_myself():
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt_myself():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)  # the interpreter raises KeyboardInterrupt here at the latest


def killed_at(function, n):
    """Wrap a system function so that its n-th call kills the process, before or after the call."""

    def calls(*arguments, **others):
        nonlocal n
        n -= 1
        if n == 0 and random.random() < 0.5:
            kill_myself()
        result = function(*arguments, **others)
        if n == 0:
            kill_myself()
        return result

    return calls


def in_a_child(training, folder, kind, again):
    """Train; after an interrupt or a planned error, train again in this process if `again`."""
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the shell may have ignored
    random.seed()
    disturbs = Disturbs()
    if kind == "call":
        name = random.choice(["replace", "fsync"])
        setattr(os, name, killed_at(getattr(os, name), random.randint(1, 9)))
    elif kind == "hook":
        hook = random.choice(list(HOOKS))
        act = random.choice([fail, kill_myself, interrupt_myself])
        disturbs = Disturbs(hook, random.randint(1, HOOKS[hook]), act)
    try:
        training.run(folder, random.randint(1, 3), [disturbs])
    except (KeyboardInterrupt, Planned):
        if not again:
            return INTERRUPTED
        training.run(folder, random.randint(1, 3), [Disturbs()])
        return WENT_ON
    return 0


def disturb(child, begun, kind, seconds):
    """Send a signal to a process after a random time, if `kind` is a signal."""
    if kind not in ("SIGKILL", "SIGINT"):
        return
    if kind == "SIGINT" or random.random() < 0.7:
        os.read(begun, 1)  # before training starts, nothing expects a SIGINT
    time.sleep(random.uniform(0, seconds))
    os.kill(child, getattr(signal, kind))


def until_the_end(training, folder, seconds, counts):
    """Train in processes that are disturbed, until one finishes."""
    for attempt in range(ATTEMPTS + 1):
        kind = random.choice(["SIGKILL", "SIGKILL", "SIGINT", "hook", "call"])
        kind = "none" if attempt == ATTEMPTS else kind
        again = random.random() < 0.3
        child, begun = forked(in_a_child, training, folder, kind, again)
        disturb(child, begun, kind, seconds * (0.1 + attempt / 20))
        code = end_of(child)
        os.close(begun)
        if code not in (0, INTERRUPTED, WENT_ON, -signal.SIGKILL):
            raise RuntimeError(f"a process that was disturbed by {kind} ended with {code}")
        if code != 0:
            counts["killed" if code < 0 else "interrupted or failed"] += 1
        if code in (0, WENT_ON):
            return


def left_in(folder):
    """Return the bytes of each file that a training left."""
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")
    }


def differences(one, other):
    """List the differences between the files of two folders."""
    found = []
    a, b = left_in(one), left_in(other)
    for name in sorted(set(a) | set(b)):
        if a.get(name) == b.get(name):
            continue
        found.append(name)
        if name.endswith(".npz") and name in a and name in b:
            with np.load(one / name) as x, np.load(other / name) as y:
                found += [
                    f"  {key}: {_shown(x, key)} {_shown(y, key)}"
                    for key in sorted(set(x) | set(y))
                    if _shown(x, key) != _shown(y, key) or x[key].tobytes() != y[key].tobytes()
                ]
    return found


def _shown(arrays, key):
    return f"{arrays[key].dtype}{arrays[key].shape}" if key in arrays else "missing"


def one_round(seed, number, base, counts):
    """Run a round; return the differences."""
    training = drawn(seed, number)

    def folder(name):
        (base / name).mkdir(parents=True)
        return base / name

    compiled, undisturbed = folder("compiled"), folder("undisturbed")
    training.run(compiled, 1, [Disturbs()])  # compiles for the forked processes, too
    began = time.perf_counter()
    child, begun = forked(in_a_child, training, undisturbed, "none", False)
    assert end_of(child) == 0, "the undisturbed training failed"
    os.close(begun)
    seconds = time.perf_counter() - began
    found = differences(compiled, undisturbed)
    for run in range(RUNS):
        disturbed = folder(f"disturbed {run}")
        until_the_end(training, disturbed, seconds, counts)
        found += differences(undisturbed, disturbed)
    # Resuming a finished training changes nothing.
    training.run(disturbed, 2, [Disturbs()])
    return found + differences(undisturbed, disturbed)


def main():
    """Run rounds until the time is up; return 1 if any bit differed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="begin no round later")
    parser.add_argument("--rounds", type=int, default=10**9, help="run no more than these")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all trainings")
    parser.add_argument("--first", type=int, default=0, help="the number of the first round")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # trainings may diverge
    ends, counts, failed = time.monotonic() + args.seconds, Counter(), []
    number = args.first
    while number < args.first + args.rounds and time.monotonic() < ends:
        base = Path(tempfile.mkdtemp(prefix=f"soak-{args.seed}-{number}-"))
        before = Counter(counts)
        try:
            found = one_round(args.seed, number, base, counts)
        except Exception as error:
            found = [repr(error)]
        done = ", ".join(f"{n} {kind}" for kind, n in (counts - before).items()) or "none disturbed"
        print(f"seed {args.seed} round {number}: {done}", flush=True)
        if found:
            failed.append(number)
            print(f"  {drawn(args.seed, number)}", *found, f"see {base}", sep="\n  ", flush=True)
        else:
            shutil.rmtree(base)
        number += 1
    print(json.dumps({"seed": args.seed, "rounds": number - args.first, **counts}))
    for each in failed:
        print(f"FAILED: again with --seed {args.seed} --first {each} --rounds 1")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
