"""Compare training in rounds on 1, 2, 4, 8 and 16 shards, and estimate its speed on many workers.

    tox -e averaging                                          # all of it: 15 minutes
    tox -e averaging -- --mnist /path/to/mnist                # with MNIST as well
    python asv_benches/averaging --problems digits --seeds 1 --epochs 10
    python asv_benches/averaging --parts speed --write asv_benches/averaging

The output, in Markdown, has two parts. "accuracy" has the scores of `fastmlp.dask.fit` without a
cluster, with `scale_rate="auto"` and with the rate unchanged, less those of one shard, and the
epochs that several shards need for the score of one. "speed" has what a model of the time of a
round says, and compares it with the rounds in measured.json, if there are any. --write FOLDER
writes both there, with a chart for each.

MNIST is its two files of 10,000 test images, of which 8,000 are trained on.
"""

import argparse
import functools
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

import page
from curves import OPTIMIZERS, cases, curves
from problems import IMAGES, LABELS, NAMES
from speed import Cluster, read_measured
from tooling import at_least, folder_for, invalid, list_of, one_of

DRAWN = ("sgd", "adam")
FILES = ["accuracy.md", "chart_accuracy.svg", "speed.md", "chart_speedup.svg"]
MEASURED = Path(__file__).with_name("measured.json")


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
    add("--parts", type=list_of(one_of(PARTS)), default=list(PARTS), metavar="NAMES")
    add("--write", type=folder_for(FILES), metavar="FOLDER", help=f"write {', '.join(FILES)}")
    parsed = parser.parse_args(arguments)
    if parsed.problems is None:
        parsed.problems = [name for name in NAMES if name != "MNIST" or parsed.mnist]
    elif "MNIST" in parsed.problems and not parsed.mnist:
        parser.error("argument --problems: MNIST needs --mnist FOLDER")
    return parsed


def write(folder, name, text):
    """Print a text, and write it into the folder, if there is one."""
    print(text)
    if folder:
        (folder / name).write_text(text, encoding="utf-8")


def compare(arguments):
    """Train, and write the tables and the chart of the scores."""
    problems, optimizers = arguments.problems, arguments.optimizers
    seeds, epochs, folder = arguments.seeds, arguments.epochs, arguments.write
    tell = functools.partial(print, file=sys.stderr, flush=True)
    results = curves(cases(problems, optimizers), seeds, epochs, arguments.mnist, tell)
    write(folder, "accuracy.md", page.accuracy(results, problems, optimizers, seeds, epochs))
    drawn = [name for name in DRAWN if name in optimizers]
    if folder and drawn:
        from charts import write_curves

        write_curves(results, problems[0], drawn, folder / "chart_accuracy.svg")


def estimate(arguments):
    """Write the table and the chart of the speed."""
    measured, processors = read_measured(MEASURED)
    cluster = Cluster(at_once=processors)
    write(arguments.write, "speed.md", page.speed(measured, cluster))
    if arguments.write:
        from charts import write_speed

        write_speed(measured, cluster, arguments.write / "chart_speedup.svg")


PARTS = {"accuracy": compare, "speed": estimate}


def main():
    """Do the parts that were asked for."""
    arguments = parse()
    for part in arguments.parts:
        PARTS[part](arguments)


if __name__ == "__main__":
    main()
