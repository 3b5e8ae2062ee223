"""Time a sample of training by threads, batch, width, depth and samples, beside the roofline.

    tox -e scaling                                            # all of it, some minutes
    python asv_benches/scaling --axes threads,batch --rounds 9 --write asv_benches/scaling
    python asv_benches/scaling --axes samples --most-samples 100000

Each axis changes one parameter of `NeuralNet.fit` in float32, the others staying where they are.
Printed, as Markdown, is for each point the median over the rounds, in microseconds a sample; the
arithmetic, 2 operations a multiply-add; how much of it there is for each byte that must move; and,
in percent, the least time that the machine's limits allow over what it took, with what sets that
limit: arithmetic, weights or X. No input is zero. A minibatch of one row passes over the units
that relu makes zero, but what is counted is all of them.

The axis of samples reads X from a .npy file in a temporary folder, 2.6 GB unless --most-samples
says less; TMPDIR chooses where. With --write, tables.md and chart.svg go into that folder.
"""

import functools
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from limits import Machine
from measure import measure
from options import parse
from points import points_of
from tables import tables

from fastmlp.core.machine.processor import usable_threads


def main():
    """Measure, print, and write where it was asked for."""
    arguments = parse(__doc__)
    tell = functools.partial(print, file=sys.stderr, flush=True)
    points = [p for name in arguments.axes for p in points_of(name, arguments.most_samples)]
    machine = Machine(sorted({min(point.n_threads, usable_threads()) for point in points}))
    results = {}
    for name in arguments.axes:
        results[name] = measure(name, arguments.most_samples, arguments.rounds, machine)
        tell(f"measured: {name}")
    text = tables(results, machine.limits, arguments.rounds)
    print(text)
    if arguments.write:
        from chart import write_chart

        (arguments.write / "tables.md").write_text(text, encoding="utf-8")
        write_chart(results, machine.limits, arguments.write / "chart.svg")


if __name__ == "__main__":
    main()
