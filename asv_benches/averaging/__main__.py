"""Compare training in rounds on 1, 2, 4, 8 and 16 shards, and estimate its speed on many workers.

    tox -e averaging                                          # all of it: ten minutes
    tox -e averaging -- --mnist /path/to/mnist                # with MNIST as well
    python asv_benches/averaging --problems digits --seeds 1 --epochs 10

The output, in Markdown, has the scores of `fastmlp.dask.fit` without a cluster, with
`scale_rate="auto"` and with the rate unchanged, less those of one shard, and the epochs that
several shards need for the score of one. --write FOLDER writes it to tables.md there, and the
charts chart_accuracy.svg and chart_speedup.svg. The second has the rounds in measured.json of that
folder beside a model of the time of a round. MNIST is its two files of 10,000 test images, of which
8,000 are trained on.
"""

import argparse
import functools
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from curves import OPTIMIZERS, cases, curves
from page import tables
from problems import IMAGES, LABELS, NAMES
from speed import Cluster, read_measured
from tooling import at_least, folder_for, invalid, list_of, one_of

DRAWN = ("sgd", "adam")


def folder_of_mnist(text):
    """Parse a folder with the files of MNIST."""
    if not all(Path(text, name).is_file() for name in (IMAGES, LABELS)):
        raise invalid(f"a folder with {IMAGES} and {LABELS}", text)
    return Path(text)


def parse(arguments=None):
    """Return the checked arguments, by default those of the command line."""
    parser = argparse.ArgumentParser(
        prog="python asv_benches/averaging",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--mnist", type=folder_of_mnist, metavar="FOLDER", help="that has MNIST's test set")
    add("--problems", type=list_of(one_of(NAMES)), metavar="NAMES", help="default: all")
    add("--optimizers", type=list_of(one_of(OPTIMIZERS)), default=list(OPTIMIZERS), metavar="NAMES")
    add("--seeds", type=at_least(1), default=5, metavar="N", help="default: 5")
    add("--epochs", type=at_least(2), default=20, metavar="N", help="default: 20")
    files = ["tables.md", "chart_accuracy.svg", "chart_speedup.svg"]
    add("--write", type=folder_for(files), metavar="FOLDER", help=f"write {', '.join(files)}")
    parsed = parser.parse_args(arguments)
    if parsed.problems is None:
        parsed.problems = [name for name in NAMES if name != "MNIST" or parsed.mnist]
    elif "MNIST" in parsed.problems and not parsed.mnist:
        parser.error("argument --problems: MNIST needs --mnist FOLDER")
    return parsed


def main():
    """Train, print the tables, and write the files that were asked for."""
    arguments = parse()
    tell = functools.partial(print, file=sys.stderr, flush=True)
    results = curves(
        cases(arguments.problems, arguments.optimizers),
        arguments.seeds, arguments.epochs, arguments.mnist, tell,
    )  # fmt: skip
    measured, processors = [], 1
    if arguments.write:
        measured, processors = read_measured(arguments.write / "measured.json")
    cluster = Cluster(at_once=processors)
    text = tables(results, arguments, measured, cluster)
    print(text)
    if arguments.write:
        from charts import write_curves, write_speed

        (arguments.write / "tables.md").write_text(text, encoding="utf-8")
        drawn = [name for name in DRAWN if name in arguments.optimizers]
        if drawn:
            path = arguments.write / "chart_accuracy.svg"
            write_curves(results, arguments.problems[0], drawn, path)
        write_speed(measured, cluster, arguments.write / "chart_speedup.svg")


if __name__ == "__main__":
    main()
