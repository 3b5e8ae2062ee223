"""Test `paired.py` on this machine: it must find slowdowns, and none where there are none.

    python asv_benches/selftest.py                       # everything: 30 minutes
    python asv_benches/selftest.py --same 1 --only exp,fit

HEAD is compared with itself eight times: anything reported as slower or faster is a false alarm.
Then HEAD is compared with copies in which one branch of a kernel takes 10 % longer, or each call of
a Python method 20 %: `guards.py` lists them. A kernel is slowed by a loop that waits, by the
processor's clock, for a tenth of the time of the call; exp, which is inlined into loops, by extra
terms of its polynomial; a method by waiting for a fifth of the time of the call if that is below a
millisecond, and so mostly Python. To save time, a copy runs only the benchmarks that call the
slowed part most directly. This does not change the result, because each benchmark is judged on its
own.

The exit code is 0 if every slowdown was found and nothing else.
"""

import inspect
import re
import shutil
import statistics
import sys
import time

import paired
from guards import KERNELS, METHODS, guarding
from tooling import at_least, list_of, make_parser, one_of, save

# The clock is the processor's time-stamp counter, which some systems do not let programs read.
WAITING = """

from llvmlite import ir as _ir
from numba import types as _types
from numba.extending import intrinsic as _intrinsic


@_intrinsic
def _clock(typing_context):
    def write(context, builder, signature, values):
        reading = _ir.FunctionType(_ir.IntType(64), [])
        name = "llvm.readcyclecounter"
        declared = builder.module.globals.get(name) or _ir.Function(builder.module, reading, name)
        return builder.call(declared, [])

    return _types.int64(), write


@kernel
def _wait_for_a_tenth(began):
    now = _clock()
    until = now + (now - began) // 10
    while now < until:
        now = _clock()


@kernel
def _kind(option):
    if option is None:
        return -1
    return option.kind


@kernel
def _parameter(option):
    if option is None:
        return 0.0
    return option.parameter


@kernel
def _itemsize(X):
    if X is None:
        return 0
    return X.itemsize


_original = {name}


@kernel
def {name}({parameters}):
    if not ({when}):
        return _original({parameters})
    began = _clock()
    result = _original({parameters})
    _wait_for_a_tenth(began)
    return result
"""

WAITING_METHOD = """

def _slowed(call):
    import time

    def slowed(*arguments, **settings):
        began = time.perf_counter()
        result = call(*arguments, **settings)
        now = time.perf_counter()
        until = now + (0.2 * (now - began) if now - began < 1e-3 else 0)
        while now < until:
            now = time.perf_counter()
        return result

    return slowed


NeuralNet.{name} = _slowed(NeuralNet.{name})
"""

# Extra terms of exp: each of these is repeated so often that its arithmetic grows by a tenth.
TERMS = {"_exp32": ("np.float32(1 / 720)", 1), "_exp64": ("1 / 479001600", 2)}


def slowed_copy(base, name):
    """Copy the version `base`, slow down `name` in the copy, and return it."""
    guard = (KERNELS | METHODS)[name]
    folder = base.package.parent / f"{base.package.name}-slow-{name.replace(' ', '-')}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base.package / "fastmlp", folder / "fastmlp")
    path = folder / "fastmlp" / guard.path
    source = path.read_text()
    if name in METHODS:
        source += WAITING_METHOD.format(name=guard.function)
    elif name == "exp":
        for term, times in TERMS.values():
            line = f"    p = p * r + {term}\n"
            assert line in source, f"functions.py has no line {line!r}"
            source = source.replace(line, line * (1 + times))
    else:
        codes = [code for code in re.findall(r"[A-Z]{2}[A-Z_]+", guard.when) if code not in source]
        if codes:
            source += f"\n\nfrom fastmlp.core.equations.activations import {', '.join(codes)}\n"
        parameters = re.search(rf"^def {guard.function}\((.*?)\):$", source, re.M | re.S)[1]
        source += WAITING.format(
            name=guard.function,
            parameters=inspect.cleandoc(parameters),
            when=guard.when or "True",
        )
    path.write_text(source)
    return base._replace(package=folder)


def row_of(what, turns, expect_slower):
    """Return a row of the table, and whether the comparison is right."""
    slower, faster = (which(turns, paired.FACTOR) for which in (paired.slower, paired.faster))
    found = slower if expect_slower else slower + faster
    ratios = [paired.ratio_of(looks) for looks in turns.values()]
    if not ratios:
        return f"| {what} | | | cannot run |", False
    right = bool(found) == expect_slower
    spread = f"{min(ratios):.3f} - {statistics.median(ratios):.3f} - {max(ratios):.3f}"
    verdict = ("found" if found else "MISSED") if expect_slower else ("FALSE" if found else "none")
    return f"| {what} | {len(found)} of {len(ratios)} | {spread} | {verdict} |", right


def main():
    """Run the comparisons, print the table row by row, and return the exit code."""
    names = [*KERNELS, *METHODS]
    parser = make_parser("selftest.py", __doc__, paired.ROUNDS)
    parser.add_argument(
        "--same", type=at_least(0), default=8, metavar="N", help="comparisons of HEAD with itself"
    )
    parser.add_argument(
        "--only",
        type=list_of(one_of(names)),
        default=names,
        metavar="NAMES",
        help=f"what to slow down: all, or some of {','.join(names)}",
    )
    arguments = parser.parse_args()
    base, text, seconds, n_wrong = paired.export("HEAD"), "", {}, 0

    def tell(line):
        nonlocal text
        text += f"{line}\n"
        print(line, flush=True)

    tell(
        f"Factor {paired.FACTOR}, up to {arguments.rounds} rounds, "
        f"{paired.SECONDS} s per benchmark and round\n"
    )
    tell("| compared with HEAD | reported as different | ratio: smallest, median, largest | |")
    tell("|---|---:|---|---|")
    began = time.perf_counter()
    titles = paired.list_benchmarks([base])[0][0]
    comparisons = [(f"HEAD itself, run {n + 1}", None) for n in range(arguments.same)]
    comparisons += [
        (f"`{name}` {'20' if name in METHODS else '10'} % slower", name) for name in arguments.only
    ]
    for what, name in comparisons:
        other, chosen = base, titles
        if name:
            other = slowed_copy(base, name)
            chosen = guarding((KERNELS | METHODS)[name].benchmarks, titles)
        turns, _ = paired.compare([base, other], chosen, rounds=arguments.rounds)
        row, is_right = row_of(what, turns, expect_slower=bool(name))
        seconds[what], n_wrong = turns, n_wrong + (not is_right)
        tell(row)
        if not name:
            for title, looks in turns.items():
                if paired.differs(paired.ratio_of(looks), paired.FACTOR):
                    print(f"false alarm: {title}: {paired.ratios_of(looks)}", file=sys.stderr)
    minutes = (time.perf_counter() - began) / 60
    tell(f"\n{n_wrong} of {len(comparisons)} wrong, in {minutes:.0f} minutes")
    save(arguments, text, seconds)
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
