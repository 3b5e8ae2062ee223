"""The branches of the kernels that plain SGD on dense float32 inputs does not take.

`guards.py` lists which benchmark guards which branch. No turn changes what the next one computes
with, so that none meets denormal numbers, which would be slow: gradients of zero, a learning rate
near 0, and fixed points of activations and losses.
"""

import itertools
from functools import partial

import numpy as np

from fastmlp.core.equations.activations import ACTIVATIONS, IDENTITY, RELU, TANH
from fastmlp.core.equations.clip import change_by_collected, square_gradients
from fastmlp.core.equations.forward import activate_rows
from fastmlp.core.equations.losses import LOSS_CODES, SOFTMAX, Loss, Targets
from fastmlp.core.equations.norms import RUNNING_SUMS, constrain_norms
from fastmlp.core.equations.update import Sink
from fastmlp.core.equations.update_rules import RULES, SGD, Rule, change_rows
from fastmlp.core.equations.update_sparse import update_sparse
from fastmlp.core.inputs.gather import SparseRows, rows_of
from fastmlp.core.inputs.nonzeros import DENSE, SPARSE
from fastmlp.core.inputs.sparse import list_sparse
from fastmlp.core.machine.barrier import Worker, new_team
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.optimizer_state import OptimizerState
from fastmlp.core.rows_phase import add_input_noise
from fastmlp.core.step import Minibatch, RandomDraws, Samples
from fastmlp.core.storage import Network, zeros

from .data import make_data, make_sparse
from .kernels import (
    TURN,
    hardly_moving,
    repeat_forward,
    repeat_gather,
    repeat_output_delta,
    repeat_propagate,
    repeat_update,
)
from .timed import Timed

FLOAT32 = np.dtype("float32")
TINY = 1e-30
N_ROWS = 64


@kernel(entry=True)
def repeat_activate(n, layers, activations, derivatives, draws, n_rows):
    """Call `activate_rows` of the first layer n times."""
    for _ in range(n):
        activate_rows(layers[0], activations, derivatives, draws, 0, 0, n_rows)


@kernel(entry=True)
def repeat_noise(n, layers, activations, draws, n_rows):
    """Call `add_input_noise` n times, with a deviation so small that nothing changes."""
    for _ in range(n):
        add_input_noise(draws, layers[0], activations, 0, 0, n_rows)


@kernel(entry=True)
def repeat_list_sparse(n, layers, X, samples, space, n_rows):
    """List the same sparse rows n times."""
    for _ in range(n):
        list_sparse(layers[0], X, samples, 0, space, 0, n_rows)


@kernel(entry=True)
def repeat_update_sparse(n, layers, X, work, sink, team, n_rows):
    """Call `update_sparse` n times; the weights hardly change."""
    for _ in range(n):
        update_sparse(layers[0], X, work, n_rows, sink, team, 0, layers[0].n_in)


@kernel(entry=True)
def repeat_change_rows(n, rule, gradients, weights, stride, n_rows):
    """Call `change_rows` n times; the weights hardly change."""
    for _ in range(n):
        change_rows(rule, gradients, weights, 0, stride, n_rows, stride)


@kernel(entry=True)
def repeat_square(n, layers, optimizer, sums, worker):
    """Call `square_gradients` n times."""
    for _ in range(n):
        square_gradients(layers, optimizer, sums, worker)


@kernel(entry=True)
def repeat_collected(n, layers, parameters, optimizer, worker):
    """Call `change_by_collected` n times; the weights hardly change."""
    for _ in range(n):
        change_by_collected(layers, parameters, optimizer, 1.0, 0, worker)


@kernel(entry=True)
def repeat_constrain(n, layer, parameters, sums):
    """Call `constrain_norms` n times, each time with one weight that is too large."""
    for _ in range(n):
        at, stride = layer[0].weights_at, layer[0].stride_out
        parameters[at] = 100
        constrain_norms(at, stride, layer[0].n_in, 1.0, parameters, 0, layer[0].n_out, sums)


def product(repeat, hidden=RELU, output=IDENTITY, l2=0.0, descends=True):
    """A product of 32x64x64 whose sums are finished in another way than in `kernels.Products`."""
    n_rows, n_in, n_out = 32, 64, 64
    network = Network([1, n_in, n_out], output, FLOAT32, hidden_activations=[hidden])
    work = network.workspace(n_rows, 1)
    network.parameters[:] = 1 / n_out
    work.forward.activations[:] = work.deltas[:] = 1  # so all sums of propagate are 1
    target = network.parameters if descends else network.like_parameters(1)[0]
    return partial(
        *(repeat, round(TURN / (n_rows * n_in * n_out))),
        *(work.forward.layers[1:], work.forward.layers[:1], network.parameters),
        *(work, Worker(0, 1, new_team()), Sink(descends, TINY, l2, target, 0), n_rows),
    )


def activation(code, dropout=0.0):
    """Half as many rows as other branches have: they and their derivatives fit the L1 cache."""
    network = Network([8, 64, 10], IDENTITY, FLOAT32, hidden_activations=[code])
    network.set_regularization(dropout=dropout)
    work = network.workspace(N_ROWS // 2, 1)
    # Where gelu(z) = silu(z) = z in float32.
    work.forward.activations[:] = np.linspace(6.5, 9, len(work.forward.activations))
    draws = RandomDraws(1, 0, 0.0)
    return partial(
        *(repeat_activate, 1000, work.forward.layers, work.forward.activations),
        *(work.deltas, draws, N_ROWS // 2),
    )


def loss(code, parameter=0.0, *, labels=False, weights=False, output=IDENTITY):
    """The derivative of a loss, from the derivative that the call before it left."""
    network = Network([64, 32, 10], output, FLOAT32)
    work = network.workspace(N_ROWS, 1)
    targets = Targets(
        np.random.default_rng(0).integers(0, 10, N_ROWS if labels else 0),
        np.full(0 if labels else 10 * N_ROWS, 0.5, FLOAT32),
        np.full(N_ROWS if weights else 0, 0.5),
    )
    samples = samples_of(np.empty(0, FLOAT32), None, network, targets, code, parameter)
    return partial(
        *(repeat_output_delta, 200, work.forward.layers, samples, work),
        Minibatch(0, N_ROWS, 1 / N_ROWS),
    )


def samples_of(X, sparse, network, targets, code=SOFTMAX, parameter=0.0, scaling=None):
    """Return samples in order; the loss None is that of a network without options."""
    return Samples(
        *(X, sparse, network.scaling if scaling is None else scaling, targets),
        None if code is None else Loss(code, parameter),
        None if code is None else RandomDraws(1, 0, 0.0),
        *(np.arange(N_ROWS), N_ROWS, DENSE if sparse is None else SPARSE),
    )


def rule(name, l2=0.0, l1=0.0):
    """An update rule for 16 rows of 64 weights."""
    rng, n_rows, stride = np.random.default_rng(0), 16, 64
    # Half a KiB more than is used: arrays a multiple of 4 KiB apart would compete for cache sets.
    gradients, weights, first, second = zeros(4 * (n_rows + 2) * stride, FLOAT32).reshape(4, -1)
    gradients[:] = rng.standard_normal(len(gradients)) / 100
    weights[:] = first[:] = second[:] = 1
    given = Rule(RULES[name], TINY, l2, l1, 0.9, 0.999, 1e-8, False, 1.0, 1.0, first, second)
    return partial(repeat_change_rows, 2000, given, gradients, weights, stride, n_rows)


def gathered(dtype, scaled=False):
    """Read rows of X in another type than the network's, or scale them."""
    network = Network([784, 64, 10], IDENTITY, FLOAT32)
    work = network.workspace(N_ROWS, 1)
    X, _ = rows_of(make_data(2000, 784, 10, dtype)[0])
    scaling = np.ones(2 * 784, FLOAT32) if scaled else network.scaling
    order = np.random.default_rng(0).permutation(2000)
    return partial(
        repeat_gather, 100, work.forward.layers, X, scaling, order, work.forward.activations, N_ROWS
    )


def sparse(what):
    """List sparse rows, or update the first layer by them."""
    network = Network([784, 64, 10], IDENTITY, FLOAT32)
    csr = make_sparse(make_data(N_ROWS, 784, 10)[0])
    X = SparseRows(csr.data, csr.indices.astype(np.uint32), csr.indptr.astype(np.int64))
    work = network.workspace(N_ROWS, 1, SPARSE, X.most_listed)
    _, rows = rows_of(X)
    targets = Targets(np.empty(0, np.int64), np.empty(0, FLOAT32), np.empty(0))
    samples = samples_of(None, rows, network, targets)
    turn = partial(repeat_list_sparse, 400, work.forward.layers, rows, samples, work.forward)
    if what == "list":
        return partial(turn, N_ROWS)
    turn(N_ROWS)
    stored = Sink(False, TINY, 0.0, network.like_parameters(1)[0], 0)
    sink = stored if what == "stored" else hardly_moving(network.parameters)
    return partial(
        repeat_update_sparse, 20, work.forward.layers, rows, work, sink, new_team(), N_ROWS
    )


def noise():
    """Add noise to the inputs."""
    work = Network([784, 64, 10], IDENTITY, FLOAT32).workspace(N_ROWS, 1)
    work.forward.activations[:] = 1
    draws = RandomDraws(1, 0, TINY)
    return partial(repeat_noise, 10, work.forward.layers, work.forward.activations, draws, N_ROWS)


def norm(what):
    """Clip gradients, or constrain the weights of units, of [784, 64, 10]."""
    network = Network([784, 64, 10], IDENTITY, FLOAT32)
    work, team = network.workspace(N_ROWS, 1), new_team()
    layers, sums = work.forward.layers, np.zeros(max(RUNNING_SUMS, 64))
    state = OptimizerState(network, SGD)
    state.rate = TINY
    state.clip(1.0)
    optimizer, worker = state.steps(1, basic=False), Worker(0, 1, team)
    return {
        "square": partial(repeat_square, 200, layers, optimizer, sums, worker),
        "clip": partial(repeat_collected, 100, layers, network.parameters, optimizer, worker),
        "constrain": partial(repeat_constrain, 100, layers[:1], network.parameters, sums),
    }[what]


BRANCHES = {
    "forward relu": partial(product, repeat_forward, output=RELU),
    "propagate identity": partial(product, repeat_propagate, hidden=IDENTITY),
    "propagate tanh": partial(product, repeat_propagate, hidden=TANH),
    "update l2": partial(product, repeat_update, l2=TINY),
    "update stored": partial(product, repeat_update, descends=False),
    **{f"activate {name}": partial(activation, code) for name, code in ACTIVATIONS.items()},
    "dropout": partial(activation, RELU, 1e-9),  # drops one unit in a billion
    "loss basic": partial(loss, None, labels=True),
    "loss relu": partial(loss, SOFTMAX, labels=True, output=RELU),
    "loss weights": partial(loss, SOFTMAX, labels=True, weights=True),
    "loss smoothing": partial(loss, SOFTMAX, 0.1, labels=True),
    **{f"loss {name}": partial(loss, code, 0.7) for name, code in LOSS_CODES.items() if code},
    "loss values": partial(loss, SOFTMAX),
    **{f"rule {name}": partial(rule, name) for name in RULES},
    "rule l2": partial(rule, "sgd", l2=TINY),
    "rule l1": partial(rule, "sgd", l1=TINY),
    "rule decoupled l2": partial(rule, "adamw", l2=TINY),
    "gather uint8": partial(gathered, "uint8"),
    "gather float16": partial(gathered, "float16"),
    "gather scaled": partial(gathered, "float32", scaled=True),
    "list_sparse": partial(sparse, "list"),
    "update_sparse": partial(sparse, "descends"),
    "update_sparse stored": partial(sparse, "stored"),
    "input noise": noise,
    "square_gradients": partial(norm, "square"),
    "change_by_collected": partial(norm, "clip"),
    "constrain_norms": partial(norm, "constrain"),
}


class Branch(Timed):
    """Guards the branches of the kernels that plain SGD on dense inputs does not take."""

    params = [list(BRANCHES)]
    param_names = ["branch"]

    def setup(self, branch):
        # As in `kernels.RowByRow`, several copies of each array.
        turns = [BRANCHES[branch]() for _ in range(4)]
        for turn in turns:
            turn()
        following = itertools.cycle(turns)
        self.turn = lambda: next(following)()

    def time_branch(self, branch):
        self.turn()

    time_branch.pretty_name = "Some milliseconds of a branch of a kernel, in float32"
