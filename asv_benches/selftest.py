"""Test `paired.py` on this machine: it must find slowdowns, and none where there are none.

    python asv_benches/selftest.py                       # everything: 25 minutes
    python asv_benches/selftest.py --same 1 --only exp,fit

HEAD is compared with itself eight times: anything reported as slower or faster is a false alarm.
Then HEAD is compared with copies in which some branches of kernels take 10 % longer, or each call
of a Python method 20 %: `guards.py` lists them. A copy has as many slow parts as share no
benchmark, and all benchmarks of kernels run: those that guard a slow part must be reported, and no
others. A kernel is slowed by a loop that waits, by the processor's clock, for a tenth of the time
of the call; exp, which is inlined into loops, by extra terms of its polynomial; a method by waiting
for a fifth of the time of the call if that is below a millisecond, and so mostly Python. These
affect many benchmarks, so each is slow in a copy of its own, which runs only its own benchmarks.

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


_original_{name} = {name}


@kernel
def {name}({parameters}):
    if not ({when}):
        return _original_{name}({parameters})
    began = _clock()
    result = _original_{name}({parameters})
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

PARTS = KERNELS | METHODS
ALONE = {"exp", *METHODS}  # what many benchmarks call
# Extra terms of exp: each of these is repeated so often that its arithmetic grows by a tenth.
TERMS = {"_exp32": ("np.float32(1 / 720)", 1), "_exp64": ("1 / 479001600", 2)}


def groups_of(names, titles):
    """Divide parts into lists that are slowed down in one copy, because they share no benchmark."""
    groups = []
    for name in names:
        guarding_it = set(guarding(PARTS[name].benchmarks, titles))
        for group, taken in groups:
            if name not in ALONE and group[0] not in ALONE and not taken & guarding_it:
                group.append(name)
                taken |= guarding_it
                break
        else:
            groups.append(([name], guarding_it))
    return [group for group, _ in groups]


def slowed_copy(base, names):
    """Copy the version `base`, slow down some parts in the copy, and return it."""
    folder = base.package.parent / f"{base.package.name}-slow-{names[0].replace(' ', '-')}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base.package / "fastmlp", folder / "fastmlp")
    conditions = {}
    for name in names:
        guard = PARTS[name]
        path = folder / "fastmlp" / guard.path
        if name in METHODS:
            path.write_text(path.read_text() + WAITING_METHOD.format(name=guard.function))
        elif name == "exp":
            path.write_text(with_more_terms(path.read_text()))
        else:
            conditions.setdefault((path, guard.function), []).append(guard.when or "True")
    for (path, function), alternatives in conditions.items():
        path.write_text(with_waiting(path.read_text(), function, alternatives))
    return base._replace(package=folder)


def with_more_terms(source):
    """Return the source of exp with a polynomial of a higher degree."""
    for term, times in TERMS.values():
        line = f"    p = p * r + {term}\n"
        assert line in source, f"functions.py has no line {line!r}"
        source = source.replace(line, line * (1 + times))
    return source


def with_waiting(source, function, alternatives):
    """Return the source with a function that waits where one of these expressions is true."""
    parameters = re.search(rf"^def {function}\((.*?)\):$", source, re.M | re.S)[1]
    when = " or ".join(f"({expression})" for expression in alternatives)
    codes = re.findall(r"[A-Z]{2}[A-Z_]+", when)
    missing = [code for code in codes if not re.search(rf"\b{code}\b", source)]
    if missing:
        source += f"\n\nfrom fastmlp.core.equations.activations import {', '.join(missing)}\n"
    return source + WAITING.format(
        name=function, parameters=inspect.cleandoc(parameters), when=when
    )


def row_of(what, turns, expect_slower):
    """Return a row of the table, and whether the comparison is right."""
    slower, faster = (which(turns, paired.FACTOR) for which in (paired.slower, paired.faster))
    found = slower if expect_slower else slower + faster
    ratios = [paired.ratio_of(looks) for looks in turns.values()]
    if not ratios:
        return f"| {what} | | | cannot run |", False
    if not expect_slower:
        for title in found:
            print(f"false alarm: {title}: {paired.ratios_of(turns[title])}", file=sys.stderr)
    right = bool(found) == expect_slower
    spread = f"{min(ratios):.3f} - {statistics.median(ratios):.3f} - {max(ratios):.3f}"
    verdict = ("found" if found else "MISSED") if expect_slower else ("FALSE" if found else "none")
    return f"| {what} | {len(found)} of {len(ratios)} | {spread} | {verdict} |", right


def main():
    """Run the comparisons, print the table row by row, and return the exit code."""
    parser = make_parser("selftest.py", __doc__, paired.ROUNDS)
    parser.add_argument(
        "--same", type=at_least(0), default=8, metavar="N", help="comparisons of HEAD with itself"
    )
    parser.add_argument(
        "--only",
        type=list_of(one_of(list(PARTS))),
        default=list(PARTS),
        metavar="NAMES",
        help=f"what to slow down: all, or some of {','.join(PARTS)}",
    )
    arguments = parser.parse_args()
    base, text, seconds, verdicts = paired.export("HEAD"), "", {}, []

    def tell(line, *verdict):
        nonlocal text
        text += f"{line}\n"
        print(line, flush=True)
        verdicts.extend(verdict)

    tell(
        f"Factor {paired.FACTOR}, up to {arguments.rounds} rounds, "
        f"{paired.SECONDS} s per benchmark and round\n"
    )
    tell("| compared with HEAD | reported as different | ratio: smallest, median, largest | |")
    tell("|---|---:|---|---|")
    began = time.perf_counter()
    titles = paired.list_benchmarks([base])[0][0]
    guards = [pattern for guard in KERNELS.values() for pattern in guard.benchmarks]
    for group in [[]] * arguments.same + groups_of(arguments.only, titles):
        other, chosen = base, titles
        if group:
            other = slowed_copy(base, group)
            chosen = guarding(PARTS[group[0]].benchmarks if group[0] in ALONE else guards, titles)
        turns, _ = paired.compare([base, other], chosen, rounds=arguments.rounds)
        seconds[", ".join(group) or f"HEAD {len(seconds) + 1}"] = dict(turns)
        for name in group:
            mine = {title: turns.pop(title) for title in guarding(PARTS[name].benchmarks, turns)}
            tell(*row_of(f"`{name}` {'20' if name in METHODS else '10'} % slower", mine, True))
        if turns:
            tell(*row_of("all else in the same copy" if group else "HEAD itself", turns, False))
    minutes = (time.perf_counter() - began) / 60
    n_wrong = verdicts.count(False)
    tell(f"\n{n_wrong} of {len(verdicts)} wrong, in {minutes:.0f} minutes")
    save(arguments, text, seconds)
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
