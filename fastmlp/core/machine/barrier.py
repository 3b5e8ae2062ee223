"""A barrier for the threads of one step: LLVM atomics on an int64 array.

``team[ARRIVED]`` counts arrivals and is never reset. ``team[BEGUN]`` is set by worker 0 when it
starts, or to `ABANDONED` by Python if worker 0 will never start: only one thread decides, so no
worker waits forever. A worker that still waits when ``team[DEADLINE]`` has passed sets
``team[LATE]``, so that the run can end after the next step. A nonzero ``team[STOPPED]``, set by
Python, asks all workers to return soon: their results are discarded.
"""

from __future__ import annotations

from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastmlp.core.machine import processor
from fastmlp.core.machine.kernel import kernel
from fastmlp.core.machine.structure import by_value
from fastmlp.core.machine.vector import VectorType, address_of

ARRIVED, BEGUN, DEADLINE, LATE, ENDS, STOPPED = 0, 8, 16, 24, 32, 40  # each on its own cache line
ABANDONED = -1
TEAM_SIZE = 48
SPINS = 2000  # tens of microseconds: more than balanced shares differ by, less than a time slice


@by_value
class Worker(NamedTuple):
    """One of the threads that share the work of a step."""

    number: int  # 0 is the calling thread's
    n_workers: int
    team: np.ndarray  # int64: their barrier, see `new_team`


def new_team() -> np.ndarray:
    """Return the barrier of a new team: no worker has arrived."""
    return np.zeros(TEAM_SIZE, np.int64)


@intrinsic
def _add(typing_context, array, index, amount):
    """Atomic ``array[index] += amount``, with acquire-release ordering."""

    def write(context, builder, signature, values):
        address = address_of(builder, values[0], values[1])
        return builder.atomic_rmw("add", address, values[2], "acq_rel")

    assert isinstance(array, VectorType)
    return types.int64(array, types.intp, types.int64), write


@intrinsic
def _read(typing_context, array, index):
    """Atomic load of ``array[index]``, with acquire ordering; never cached in a register."""

    def write(context, builder, signature, values):
        address = address_of(builder, values[0], values[1])
        return builder.load_atomic(address, "acquire", 8)

    assert isinstance(array, VectorType)
    return types.int64(array, types.intp), write


@intrinsic
def _pause(typing_context):
    """Hint to the processor that this is a spin loop; a no-op where there is no such hint."""

    def write(context, builder, signature, values):
        if processor.PAUSE:
            hint = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, hint, processor.PAUSE), [])
        return context.get_dummy_value()

    return types.void(), write


@intrinsic
def _yield(typing_context):
    """Yield the processor to another thread; a no-op where the system has no such call."""

    def write(context, builder, signature, values):
        if llvm.address_of_symbol(processor.YIELD):
            call = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, call, processor.YIELD), [])
        return context.get_dummy_value()

    return types.void(), write


@intrinsic
def _clock(typing_context):
    """Return the time in nanoseconds, see `processor.deadline`; 0 where there is no such clock."""

    def write(context, builder, signature, values):
        word = ir.IntType(64)
        if not processor.CLOCK or not llvm.address_of_symbol(processor.CLOCK):
            return ir.Constant(word, 0)
        now = cgutils.alloca_once(builder, ir.LiteralStructType([word, word]))
        call = ir.FunctionType(ir.IntType(32), [ir.IntType(32), now.type])
        function = cgutils.get_or_insert_function(builder.module, call, processor.CLOCK)
        builder.call(function, [ir.Constant(ir.IntType(32), processor.CLOCK_ID), now])
        seconds, nanoseconds = (
            builder.load(cgutils.gep_inbounds(builder, now, 0, part)) for part in (0, 1)
        )
        return builder.add(builder.mul(seconds, ir.Constant(word, 10**9)), nanoseconds)

    return types.int64(), write


@kernel
def begin(worker):
    """Start the team (worker 0), or wait until it starts; return False if it was abandoned."""
    if worker.number == 0:
        _add(worker.team, BEGUN, 1)
        return True
    spins = 0
    while _read(worker.team, BEGUN) == 0:
        spins = _wait(spins)
    return _read(worker.team, BEGUN) != ABANDONED


@kernel
def _wait(spins):
    """Wait briefly, at first by spinning, later by yielding; return spins + 1."""
    if spins < SPINS:
        _pause()
    else:
        _yield()
    return spins + 1


@kernel
def wait_for_all(worker, waits):
    """Wait until every worker has arrived; what they wrote before is then visible.

    Parameters
    ----------
    worker : Worker
    waits : int
        How often the team has waited so far, including this time: 1, 2, 3, ...
    """
    if worker.n_workers == 1:
        return
    _add(worker.team, ARRIVED, 1)
    spins = 0
    while _read(worker.team, ARRIVED) < worker.n_workers * waits:
        spins = _wait(spins)
        if spins > SPINS and 0 < worker.team[DEADLINE] < _clock():
            worker.team[LATE] = 1


@kernel
def decide_to_end(worker):
    """Decide before the first barrier of a step whether it is the last, because the run is late.

    Only worker 0 decides. The others read `ends` between this barrier and the next.
    """
    if worker.number == 0 and worker.team[LATE] != 0:
        worker.team[ENDS] = 1


@kernel
def ends(worker):
    """Return whether this is the last step of the run."""
    return worker.team[ENDS] != 0


@kernel
def worker_slice(array, worker):
    """Return the worker's slice of an array that is divided equally among the workers."""
    n = len(array) // worker.n_workers
    return array[worker.number * n : (worker.number + 1) * n]


@kernel
def stopped(team):
    """Return whether Python has asked the team to stop."""
    return _read(team, STOPPED) != 0
