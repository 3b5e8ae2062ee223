"""``python -m fastmlp.sklearn script.py``: run a program with fastmlp's estimators.

The program runs unchanged, as ``python script.py`` would run it, but ``MLPClassifier`` and
``MLPRegressor`` of `sklearn.neural_network` are those of `fastmlp.sklearn`. At the end, a line on
standard error says what was fitted.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence

from fastmlp.callbacks.output import shown_on
from fastmlp.sklearn import replacement


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program that the arguments name."""
    parser = argparse.ArgumentParser(
        prog="python -m fastmlp.sklearn",
        description="Run a program with the MLPClassifier and MLPRegressor of fastmlp in place of "
        "those of scikit-learn.",
        epilog="examples: python -m fastmlp.sklearn train.py --epochs 5\n"
        "          python -m fastmlp.sklearn -m package.train\n"
        "Processes that the program starts with the method spawn of multiprocessing use\n"
        "scikit-learn's classes.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-m", dest="is_module", action="store_true", help="PROGRAM is a module")
    parser.add_argument(
        "program", metavar="PROGRAM", help="the path of a script, or the name of a module"
    )
    parser.add_argument(
        "arguments", metavar="...", nargs=argparse.REMAINDER, help="arguments of the program"
    )
    given = parser.parse_args(arguments)
    if not given.is_module and not os.path.exists(given.program):
        parser.error(f"can't open file {given.program!r}")
    replacement.replace()
    fits = replacement.Fits()
    sys.argv = [given.program, *given.arguments]
    try:
        with shown_on(sys.stderr):  # that something compiles
            if given.is_module:
                sys.path[0] = os.getcwd()
                runpy.run_module(given.program, run_name="__main__", alter_sys=True)
            else:
                sys.path[0] = os.path.dirname(os.path.abspath(given.program))
                runpy.run_path(given.program, run_name="__main__")
    finally:
        sys.stdout.flush()
        print(fits, file=sys.stderr)


if __name__ == "__main__":
    main()
