"""Time training by threads, batch, width, depth and samples, and compare with the roofline.

    tox -e scaling                                            # all of it, two minutes
    python asv_benches/scaling --axes threads,batch --rounds 9 --write asv_benches/scaling
    python asv_benches/scaling --axes samples --most-samples 100000

Each axis changes one parameter of `NeuralNet.fit` in float32 and keeps the others. The output, in
Markdown, has for each point the median time over the rounds, in microseconds per sample; the
arithmetic, 2 operations per multiply-add; the operations per byte that must move; and the shortest
time that the machine's limits allow, in percent of the measured time, with the limit that
determines it: arithmetic, weights or X. No input is zero. A minibatch of one row skips the units
that relu makes zero, but all of them are counted.

The axis of samples reads X from a .npy file in a temporary folder, which TMPDIR chooses. The file
has 2.6 GB; --most-samples makes it smaller.
"""

import functools
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from limits import Machine
from measure import measure
from options import parse
from points import points_of
from tooling import save

from fastmlp.core.machine.processor import usable_threads
from tables import tables


def main():
    """Measure, print the tables, and write the files that were asked for."""
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
    seconds = {
        name: {timed.point.value: timed.turns for timed in points}
        for name, points in results.items()
    }
    save(arguments, text, seconds)
    if arguments.write:
        from chart import write_chart

        write_chart(results, machine.limits, arguments.write / "chart.svg")


if __name__ == "__main__":
    main()
