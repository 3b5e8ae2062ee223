"""Run an example as its readers do, and save each picture that it shows."""

import itertools
import runpy
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

numbers = itertools.count(1)


def save():
    """Write all figures as plt.show would show them, and close them."""
    for figure in map(plt.figure, plt.get_fignums()):
        figure.savefig(f"picture-{next(numbers)}.png")
    plt.close("all")


plt.show = save
runpy.run_path(sys.argv[1], run_name="__main__")
if plt.get_fignums():
    sys.exit("the example ends before plt.show() for its last figure")
