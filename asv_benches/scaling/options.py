"""The arguments of the command line, checked before anything is measured."""

import shutil
import tempfile

from points import AXES, FEWEST_SAMPLES, file_bytes, points_of
from tooling import at_least, available_memory, list_of, make_parser, one_of

MEMORY_PER_BYTE = 1.25  # of X: the rest is labels and orders, with copies


def lack_of_space(n_bytes, disk, memory):
    """Return an error message if a file of this size does not fit, otherwise None."""
    needs = {
        "space in the temporary folder": (n_bytes, disk),
        "memory": (MEMORY_PER_BYTE * n_bytes, memory),
    }
    for what, (needed, free) in needs.items():
        if needed > free:
            return f"X needs {needed / 1e9:.1f} GB of {what}, and {free / 1e9:.1f} GB are free"
    return None


def parse(description, arguments=None):
    """Return the checked arguments, by default those of the command line."""
    parser = make_parser("scaling", description, 5, chart=True)
    names, most = ",".join(AXES), AXES["samples"].values[-1]
    parser.add_argument(
        "--axes", type=list_of(one_of(AXES)), default=names, help=f"default: {names}"
    )
    parser.add_argument(
        "--most-samples",
        type=at_least(FEWEST_SAMPLES),
        default=most,
        metavar="N",
        help=f"default: {most}",
    )
    parsed = parser.parse_args(arguments)
    if "samples" in parsed.axes:
        needed = file_bytes(points_of("samples", parsed.most_samples))
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if lack := lack_of_space(needed, free, available_memory()):
            parser.error(f"argument --most-samples: {lack}")
    return parsed
