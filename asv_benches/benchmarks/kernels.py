"""How close the compiled loops come to the processor's peak."""

import itertools
from functools import partial

import numpy as np

from fastmlp.core.equations.forward import forward, forward_listed
from fastmlp.core.equations.losses import SOFTMAX, Loss, Targets, output_delta
from fastmlp.core.equations.product import WIDE
from fastmlp.core.equations.propagate import propagate
from fastmlp.core.equations.update import Sink, update, update_biases, update_marked, update_sample
from fastmlp.core.inputs.gather import gather
from fastmlp.core.inputs.nonzeros import ZERO_RICH, list_inputs, mark_inputs
from fastmlp.core.machine.barrier import Worker, new_team
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.processor import LANES
from fastmlp.core.machine.tile import add_outer, store, zeros
from fastmlp.core.machine.vector import vector
from fastmlp.core.maths.functions import exp
from fastmlp.core.step import Minibatch, Samples
from fastmlp.core.storage import Network

from .data import make_data
from .timed import Timed, interleave, median_ratio, seconds_of

# Rows of a minibatch, inputs and outputs of a layer.
SHAPES = ["32x784x64", "128x784x64", "128x784x512", "128x256x256", "32x64x32", "32x64x16"]
PRODUCTS = ["forward", "propagate", "update"]
ROWWISE = [
    *("gather", "list_inputs", "mark_inputs", "forward_listed", "update_marked"),
    *("update_sample", "update_biases", "output_delta", "exp"),
]
DTYPES = ["float32", "float64"]
TURN = 1e8  # multiply-adds, which take some milliseconds: less than a time slice


@kernel(entry=True)
def repeat_forward(n, layer, below, parameters, work, worker, sink, n_rows):
    """Call `forward` n times, which overwrites the activations with the same values."""
    for _ in range(n):
        forward(layer[0], parameters, work.forward.activations, worker.team, 0, n_rows)


@kernel(entry=True)
def repeat_propagate(n, layer, below, parameters, work, worker, sink, n_rows):
    """Call `propagate` n times, which overwrites the deltas with the same values."""
    for _ in range(n):
        propagate(layer[0], below[0], parameters, worker, work, 0, n_rows)


@kernel(entry=True)
def repeat_update(n, layer, below, parameters, work, worker, sink, n_rows):
    """Call `update` n times, with a learning rate so small that the weights hardly change."""
    for _ in range(n):
        update(layer[0], worker, work, n_rows, sink, 0, layer[0].n_in)


@kernel(entry=True)
def repeat_multiply_add(n, x, result):
    """Do the multiply-adds of one tile n times, in registers only."""
    factors = vector(x)
    tile = zeros(WIDE, factors)
    for _ in range(n):
        tile = add_outer(tile, factors, 0, 1, factors, 0)
    store(tile, vector(result), 0, 64)


@kernel(entry=True)
def repeat_gather(n, layers, X, scaling, order, activations, n_rows):
    """Gather n minibatches in sequence, starting over at the end."""
    n_minibatches = len(order) // n_rows
    for step in range(n):
        start = step % n_minibatches * n_rows
        gather(layers[0], X, scaling, order, start, activations, 0, n_rows)


@kernel(entry=True)
def repeat_output_delta(n, layers, samples, work, minibatch):
    """Call `output_delta` n times, each time on the activations that it left."""
    for _ in range(n):
        output_delta(layers[len(layers) - 1], samples, work, minibatch, 0, minibatch.n_rows)


@kernel(entry=True)
def repeat_list_inputs(n, layers, space, n_rows):
    """Call `list_inputs` of the first layer n times."""
    for _ in range(n):
        list_inputs(layers[0], space, 0, n_rows)


@kernel(entry=True)
def repeat_forward_listed(n, layers, parameters, space, team, n_rows):
    """Call `forward_listed` of the first layer n times."""
    for _ in range(n):
        forward_listed(layers[0], parameters, space, team, 0, n_rows)


@kernel(entry=True)
def repeat_mark_inputs(n, layers, space, n_rows):
    """Call `mark_inputs` of the first layer n times."""
    for _ in range(n):
        mark_inputs(layers[0], space, 0, n_rows)


@kernel(entry=True)
def repeat_update_marked(n, layers, work, worker, sink, n_rows):
    """Call `update_marked` of the first layer n times; its weights hardly change."""
    for _ in range(n):
        update_marked(layers[0], worker, work, n_rows, sink, 0, layers[0].n_in)


@kernel(entry=True)
def repeat_update_sample(n, layers, deltas, sink, space):
    """Call `update_sample` of the first layer n times; its weights hardly change."""
    for _ in range(n):
        update_sample(layers[0], deltas, sink, space)


@kernel(entry=True)
def repeat_update_biases(n, layer, deltas, sink, n_rows):
    """Call `update_biases` n times; they hardly change."""
    for _ in range(n):
        update_biases(layer[0], deltas, n_rows, sink)


@kernel(entry=True)
def repeat_exp(n, x, result):
    """``result = exp(x)``, n times."""
    for _ in range(n):
        for i in range(len(x)):
            result[i] = exp(x[i])


def hardly_moving(array):
    """Return the sink of plain SGD with a tiny learning rate."""
    return Sink(True, 1e-30, 0.0, array, 0)


class Products(Timed):
    """Guards the arithmetic: each product of a step, by the shape of its layer."""

    params = [PRODUCTS, SHAPES, DTYPES]
    param_names = ["product", "rows x inputs x outputs", "dtype"]

    def setup(self, product, shape, dtype):
        n_rows, n_in, n_out = (int(size) for size in shape.split("x"))
        dtype = np.dtype(dtype)
        network = Network([1, n_in, n_out], 0, dtype)
        work = network.workspace(n_rows, 1)
        rng = np.random.default_rng(0)
        for array in (network.parameters, work.forward.activations, work.deltas):
            array[:] = rng.standard_normal(len(array), np.float32)
        repeat = {
            "forward": repeat_forward,
            "propagate": repeat_propagate,
            "update": repeat_update,
        }[product]
        arguments = (
            *(work.forward.layers[1:], work.forward.layers[:1], network.parameters, work),
            *(Worker(0, 1, new_team()), hardly_moving(network.parameters), n_rows),
        )
        n = max(1, round(TURN / (n_rows * n_in * n_out)))
        self.multiply_adds = n * n_rows * n_in * n_out
        self.dtype = dtype
        self.turn = lambda: repeat(n, *arguments)
        repeat(1, *arguments)

    def time_product(self, product, shape, dtype):
        self.turn()

    time_product.pretty_name = (
        "A hundred million multiply-adds of a product, by the shape of its layer"
    )

    def track_percent_of_peak(self, product, shape, dtype):
        x, result = np.ones(64, self.dtype), np.zeros(1024, self.dtype)
        per_tile = WIDE.rows * WIDE.vectors * LANES * 4 // self.dtype.itemsize
        n = round(self.multiply_adds / per_tile)
        repeat_multiply_add(1, x, result)
        peak = partial(repeat_multiply_add, n, x, result)
        turns = [partial(seconds_of, call) for call in (peak, self.turn)]
        return 100 * median_ratio(*interleave(turns, 50))

    track_percent_of_peak.unit = "% of the FMA peak"
    track_percent_of_peak.pretty_name = (
        "Arithmetic of a product, in percent of the processor's fused multiply-add peak"
    )


class RowByRow(Timed):
    """Guards the kernels that work row by row between the products, or on a single sample."""

    params = [ROWWISE, DTYPES]
    param_names = ["kernel", "dtype"]

    def setup(self, name, dtype):
        # The speed depends on the cache sets that an array is placed in. So there are several
        # copies of each array, and the quickest turn is that of the best placement.
        turns = [self.make_turn(name, np.dtype(dtype)) for _ in range(8)]
        for turn in turns:
            turn()
        following = itertools.cycle(turns)
        self.turn = lambda: next(following)()

    def make_turn(self, name, dtype):
        rng, n_rows = np.random.default_rng(0), 64
        network = Network([784, 64, 10], 0, dtype)
        work = network.workspace(n_rows, 1, ZERO_RICH)
        network.parameters[:] = rng.standard_normal(len(network.parameters)) / 100
        X = make_data(2000, 784, 10, dtype.name)[0].reshape(-1)
        order = rng.permutation(2000)
        gathered = (X, network.scaling, order, work.forward.activations, n_rows)
        repeat_gather(1, work.forward.layers, *gathered)
        repeat_list_inputs(1, work.forward.layers, work.forward, n_rows)
        repeat_mark_inputs(1, work.forward.layers, work.forward, n_rows)
        sink, x = hardly_moving(network.parameters), np.linspace(-20, 0, 1000).astype(dtype)
        labels = rng.integers(0, 10, n_rows)
        targets = Targets(labels, np.empty(0, dtype), np.empty(0))
        samples = Samples(
            X, None, network.scaling, targets, Loss(SOFTMAX, 0.0), None,
            np.arange(n_rows), n_rows, ZERO_RICH,
        )  # fmt: skip
        last = work.forward.layers, samples, work, Minibatch(0, n_rows, 1 / n_rows)
        return {
            "gather": partial(repeat_gather, 100, work.forward.layers, *gathered),
            "output_delta": partial(repeat_output_delta, 500, *last),
            "list_inputs": partial(
                repeat_list_inputs, 200, work.forward.layers, work.forward, n_rows
            ),
            "mark_inputs": partial(
                repeat_mark_inputs, 300, work.forward.layers, work.forward, n_rows
            ),
            "forward_listed": partial(
                *(repeat_forward_listed, 30, work.forward.layers, network.parameters),
                *(work.forward, new_team(), n_rows),
            ),
            "update_marked": partial(
                *(repeat_update_marked, 30, work.forward.layers, work),
                *(Worker(0, 1, new_team()), sink, n_rows),
            ),
            "update_sample": partial(
                *(repeat_update_sample, 1000, work.forward.layers),
                *(work.deltas, sink, work.forward),
            ),
            "update_biases": partial(
                *(repeat_update_biases, 5000, work.forward.layers[:1]),
                *(work.deltas, sink, n_rows),
            ),
            "exp": partial(repeat_exp, 3000, x, np.empty_like(x)),
        }[name]

    def time_kernel(self, name, dtype):
        self.turn()

    time_kernel.pretty_name = "Some milliseconds of a kernel that works row by row, in 784-64-10"
