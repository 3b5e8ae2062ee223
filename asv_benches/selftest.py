"""Show what `paired.py` finds on this machine, and what it finds that is not there.

    python asv_benches/selftest.py                       # everything: 26 minutes
    python asv_benches/selftest.py --same 1 --only exp,fit

Eight times HEAD is compared with itself: whatever is called slower is a false alarm. Then HEAD is
compared with copies of it in which one kernel takes a tenth longer, or each call of a Python
method a fifth. A kernel is slowed by a loop that waits, by the processor's own clock, for a tenth
of what the call took; exp, which is compiled into the loops that use it, by further terms of its
polynomial; a method by waiting for a fifth of what the call took where that is under a
millisecond, and so almost all Python. To save time a copy is only measured by the benchmarks that
call the slowed part most directly: each benchmark is judged on its own, whatever else is measured.

Ends with 0 where every slowdown was found and nothing else.
"""

import argparse
import inspect
import re
import shutil
import statistics
import sys
import time

import paired

# The clock is the processor's time-stamp counter; not every system lets programs read it.
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


_quick = {name}


@kernel
def {name}({parameters}):
    began = _clock()
    result = _quick({parameters})
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

# What is slowed: its module, and the benchmarks that call it most directly.
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
# The terms that exp is slowed by, after the polynomial's first: a tenth of its arithmetic.
TERMS = {"_exp32": ("np.float32(1 / 720)", 1), "_exp64": ("1 / 479001600", 2)}


def slowed_copy(base, name):
    """Return the folder of a copy of the package in `base` whose `name` is slower."""
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
    """Return a row of the table, and whether the comparison said what it should."""
    found = paired.slower(turns, paired.FACTOR)
    ratios = [paired.ratio_of(looks) for looks in turns.values()]
    right = bool(found) == expect_slower and len(ratios) > 0
    spread = f"{min(ratios):.3f} - {statistics.median(ratios):.3f} - {max(ratios):.3f}"
    verdict = ("found" if found else "MISSED") if expect_slower else ("FALSE" if found else "none")
    return f"| {what} | {len(found)} of {len(ratios)} | {spread} | {verdict} |", right


def parse_names(text):
    """Return the names of what to slow down, which commas part."""
    names = text.split(",")
    for name in names:
        if name not in KERNELS | METHODS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(KERNELS | METHODS)}")
    return names


def main():
    """Run the comparisons, print the table row by row, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--same", type=int, default=8, help="comparisons of HEAD with itself")
    parser.add_argument(
        "--only",
        type=parse_names,
        default=[*KERNELS, *METHODS],
        help="what to slow down, with commas between; all, where not given",
    )
    arguments = parser.parse_args()
    base, right = paired.export("HEAD"), []

    print(f"Factor {paired.FACTOR}, {paired.ROUNDS} rounds of {paired.LOOKS} looks, ", end="")
    print(f"{paired.SECONDS} s a benchmark and look\n")
    print("| compared with HEAD | called slower | ratio: least, median, largest | |")
    print("|---|---:|---|---|", flush=True)
    began = time.perf_counter()
    comparisons = [(f"HEAD itself, run {n + 1}", base, "", False) for n in range(arguments.same)]
    for name in arguments.only:
        what = f"`{name}` {'20' if name in METHODS else '10'} % slower"
        pattern = (KERNELS | METHODS)[name][1]
        comparisons.append((what, slowed_copy(base, name), pattern, True))
    for what, folder, pattern, expect_slower in comparisons:
        turns, _ = paired.compare([base, folder], paired.find_benchmarks(pattern))
        row, is_right = row_of(what, turns, expect_slower)
        right.append(is_right)
        print(row, flush=True)
        if not expect_slower:
            for title in paired.slower(turns, paired.FACTOR):
                print(f"false alarm: {title}: {turns[title]}", file=sys.stderr)
    print(f"\n{len(right) - sum(right)} wrong of {len(right)}, ", end="")
    print(f"in {(time.perf_counter() - began) / 60:.0f} minutes")
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main())
