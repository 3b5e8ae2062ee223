"""Test `paired.py` on this machine: it must find slowdowns, and none where there are none.

    python asv_benches/selftest.py                       # everything: 26 minutes
    python asv_benches/selftest.py --same 1 --only exp,fit

HEAD is compared with itself eight times: anything reported as slower is a false alarm. Then HEAD
is compared with copies in which one kernel takes 10 % longer, or each call of a Python method
20 %. A kernel is slowed by a loop that waits, by the processor's clock, for a tenth of the time of
the call; exp, which is inlined into loops, by extra terms of its polynomial; a method by waiting
for a fifth of the time of the call if that is below a millisecond, and so mostly Python. To save
time, a copy runs only the benchmarks that call the slowed part most directly. This does not change
the result, because each benchmark is judged on its own.

The exit code is 0 if every slowdown was found and nothing else.
"""

import inspect
import re
import shutil
import statistics
import sys
import time

import paired
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


_original = {name}


@kernel
def {name}({parameters}):
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

# What is slowed down: its module, and the benchmarks that call it most directly.
KERNELS = {
    "gather": ("core/inputs/gather.py", r"time_kernel\(gather"),
    "forward": ("core/equations/forward.py", r"time_product\(forward"),
    "propagate": ("core/equations/propagate.py", r"time_product\(propagate"),
    "update": ("core/equations/update.py", r"time_product\(update"),
    "list_inputs": ("core/inputs/nonzeros.py", r"time_kernel\(list_inputs"),
    "mark_inputs": ("core/inputs/nonzeros.py", r"time_kernel\(mark_inputs"),
    "forward_listed": ("core/equations/forward.py", r"time_kernel\(forward_listed"),
    "update_marked": ("core/equations/update.py", r"time_kernel\(update_marked"),
    "update_sample": ("core/equations/update.py", r"time_kernel\(update_sample"),
    "update_biases": ("core/equations/update.py", r"time_kernel\(update_biases"),
    "output_delta": ("core/equations/losses.py", r"time_kernel\(output_delta"),
    "exp": ("core/maths/functions.py", r"time_kernel\(exp"),
}
METHODS = {
    "fit": ("neural_net.py", r"Call\.time_20_calls\(1\)"),
    "predict_proba": ("neural_net.py", r"time_predict_proba\(1,"),
}
# Extra terms of exp: each of these is repeated so often that its arithmetic grows by a tenth.
TERMS = {"_exp32": ("np.float32(1 / 720)", 1), "_exp64": ("1 / 479001600", 2)}


def slowed_copy(base, name):
    """Copy the package in `base`, slow down `name` in the copy, and return its folder."""
    folder = base.parent / f"{base.name}-slow-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base / "fastmlp", folder / "fastmlp")
    path = folder / "fastmlp" / (KERNELS | METHODS)[name][0]
    source = path.read_text()
    if name in METHODS:
        source += WAITING_METHOD.format(name=name)
    elif name == "exp":
        for term, times in TERMS.values():
            line = f"    p = p * r + {term}\n"
            assert line in source, f"functions.py has no line {line!r}"
            source = source.replace(line, line * (1 + times))
    else:
        parameters = re.search(rf"^def {name}\((.*?)\):$", source, re.M | re.S)[1]
        source += WAITING.format(name=name, parameters=inspect.cleandoc(parameters))
    path.write_text(source)
    return folder


def row_of(what, turns, expect_slower):
    """Return a row of the table, and whether the comparison is right."""
    found = paired.slower(turns, paired.FACTOR)
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
        f"Factor {paired.FACTOR}, {arguments.rounds} rounds of {paired.LOOKS} looks, "
        f"{paired.SECONDS} s per benchmark and look\n"
    )
    tell("| compared with HEAD | reported as slower | ratio: smallest, median, largest | |")
    tell("|---|---:|---|---|")
    began = time.perf_counter()
    comparisons = [(f"HEAD itself, run {n + 1}", base, "", False) for n in range(arguments.same)]
    for name in arguments.only:
        what = f"`{name}` {'20' if name in METHODS else '10'} % slower"
        pattern = (KERNELS | METHODS)[name][1]
        comparisons.append((what, slowed_copy(base, name), pattern, True))
    for what, folder, pattern, expect_slower in comparisons:
        benchmarks = paired.find_benchmarks(pattern)
        turns, _ = paired.compare([base, folder], benchmarks, rounds=arguments.rounds)
        row, is_right = row_of(what, turns, expect_slower)
        seconds[what], n_wrong = turns, n_wrong + (not is_right)
        tell(row)
        if not expect_slower:
            for title in paired.slower(turns, paired.FACTOR):
                print(f"false alarm: {title}: {turns[title]}", file=sys.stderr)
    minutes = (time.perf_counter() - began) / 60
    tell(f"\n{n_wrong} of {len(comparisons)} wrong, in {minutes:.0f} minutes")
    save(arguments, text, seconds)
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
