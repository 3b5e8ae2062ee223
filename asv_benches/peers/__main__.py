"""Time fastmlp and its peers in one interleaved run, and write the README's tables and chart.

    tox -e peers                                              # all of it, some minutes
    python asv_benches/peers --rounds 9 --write asv_benches/peers
    python asv_benches/peers --threads 1 --systems fastmlp,numpy --cases 784-64-10@32

A case is layers@batch_size for an epoch of training, or layers:rows for predictions of that many
rows per call. Each system runs in its own process, as its documentation recommends for speed. The
output, in Markdown, has the medians over the rounds in microseconds per sample, followed by the
ratio to fastmlp's time in the same round. The data is synthetic; 19 % of the inputs are not zero,
as in MNIST.
"""

import functools
import importlib.metadata
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from measure import Case, figures, measure
from systems import SYSTEMS
from tooling import at_least, case_of, heading, list_of, make_parser, name_threads, one_of, save

CASES = (
    "784-64-10@1,784-64-10@32,784-64-10@128,784-512-512-10@128,64-32-10@32,28-64-64-2@256,"
    "784-64-10:1,784-64-10:1000"
)
PACKAGES = {"numpy": "NumPy", "scikit-learn": "scikit-learn", "torch": "PyTorch", "jax": "JAX"}


def versions():
    """Return the installed systems with their versions."""
    found = []
    for package, name in PACKAGES.items():
        try:
            found.append(f"{name} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            pass
    return ", ".join(found)


def row(case, found, systems):
    """Return a row of a table."""
    cells = []
    for system in systems:
        if system in found:
            seconds, ratio = found[system]
            text = f"{1e6 * seconds:.3g}"
            cells.append(text if system == "fastmlp" else f"{text} ({ratio:.1f}x)")
        else:
            cells.append("")
    return f"| {list(case.layers)} | {case.what} | " + " | ".join(cells) + " |"


def tables(results, systems, threads, rounds):
    """Return all results as Markdown."""
    text = heading(versions(), rounds)
    for n_threads in threads:
        text += [
            "",
            f"{name_threads(n_threads).capitalize()}:",
            "",
            "| layers | | " + " | ".join(systems) + " |",
            "|---|---|" + "---:|" * len(systems),
        ]
        text += [row(case, figures(seconds, n_threads), systems) for case, seconds in results]
    return "\n".join(text) + "\n"


def as_json(results):
    """Return the seconds per sample of every round by case, system and number of threads."""
    return {
        f"{list(case.layers)}, {case.what}": {
            f"{system}, {name_threads(n_threads)}": turns
            for (system, n_threads), turns in seconds.items()
        }
        for case, seconds in results
    }


def main():
    """Measure, print the tables, and write the files that were asked for."""
    parser = make_parser("peers", __doc__, 7, chart=True)
    names = ",".join(SYSTEMS)
    parser.add_argument(
        "--systems", type=list_of(one_of(SYSTEMS)), default=names, help=f"default: {names}"
    )
    parser.add_argument(
        "--cases", type=list_of(case_of(Case)), default=CASES, help=f"default: {CASES}"
    )
    parser.add_argument(
        "--threads", type=list_of(at_least(1)), default="1,2", help="default: %(default)s"
    )
    arguments = parser.parse_args()
    systems, threads = arguments.systems, arguments.threads
    tell = functools.partial(print, file=sys.stderr, flush=True)
    results = list(measure(systems, threads, arguments.cases, arguments.rounds, tell))
    text = tables(results, systems, threads, arguments.rounds)
    print(text)
    save(arguments, text, as_json(results))
    if arguments.write:
        from chart import write_chart

        write_chart(results, systems, threads, arguments.write / "chart.svg")


if __name__ == "__main__":
    main()
