"""The meeting point of the threads of one step: LLVM atomics on an int64 array.

``team[ARRIVED]`` counts arrivals and never goes back, so a meeting needs no reset.
``team[BEGUN]`` is set by worker 0 as it comes in, or to `ABANDONED` by Python where worker 0 will
never come: one thread decides, so nobody waits in vain. ``team[STOPPED]``, set to 1 by Python, asks
all to make haste: what they do is thrown away.
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

ARRIVED, BEGUN, STOPPED = 0, 8, 16  # on cache lines of their own
ABANDONED = -1
TEAM_SIZE = 24
SPINS = 2000  # some microseconds: longer than a balanced share's delay, shorter than a time slice


class Worker(NamedTuple):
    """One of the threads that take a step together."""

    number: int  # 0 is the calling thread's
    n_workers: int
    team: np.ndarray  # int64: where they meet, of `new_team`


def new_team() -> np.ndarray:
    """Return the meeting point of a new team: nobody has arrived."""
    return np.zeros(TEAM_SIZE, np.int64)


def _address(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def _add(typing_context, array, index, amount):
    """``array[index] += amount`` as one indivisible act, which also publishes earlier writes."""

    def write(context, builder, signature, values):
        address = _address(context, builder, signature.args[0], values[0], values[1])
        return builder.atomic_rmw("add", address, values[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), write


@intrinsic
def _read(typing_context, array, index):
    """``array[index]``, read anew, after which the writes published with it are seen."""

    def write(context, builder, signature, values):
        address = _address(context, builder, signature.args[0], values[0], values[1])
        return builder.load_atomic(address, "acquire", 8)

    return types.int64(array, types.intp), write


@intrinsic
def _pause(typing_context):
    """Tell the processor that this loop waits (nothing where it has no such hint)."""

    def write(context, builder, signature, values):
        if processor.PAUSE:
            hint = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, hint, processor.PAUSE), [])
        return context.get_dummy_value()

    return types.void(), write


@intrinsic
def _yield(typing_context):
    """Hand the processor to another thread (nothing where the system has no such call)."""

    def write(context, builder, signature, values):
        if llvm.address_of_symbol(processor.YIELD):
            call = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, call, processor.YIELD), [])
        return context.get_dummy_value()

    return types.void(), write


@kernel
def begin(worker):
    """Let the others in (worker 0), or wait to be let in; return whether the team has begun."""
    if worker.number == 0:
        _add(worker.team, BEGUN, 1)
        return True
    spins = 0
    while _read(worker.team, BEGUN) == 0:
        spins = _wait(spins)
    return _read(worker.team, BEGUN) != ABANDONED


@kernel(inline=True)
def _wait(spins):
    """Pass a moment, at first awake, then leaving the processor to others; return spins + 1."""
    if spins < SPINS:
        _pause()
    else:
        _yield()
    return spins + 1


@kernel
def meet(worker, meetings):
    """Wait until every worker has arrived at this meeting; what they wrote before is then visible.

    Parameters
    ----------
    worker : Worker
    meetings : int
        The number of meetings of this team so far, including this one: 1, 2, 3, ...
    """
    if worker.n_workers == 1:
        return
    _add(worker.team, ARRIVED, 1)
    spins = 0
    while _read(worker.team, ARRIVED) < worker.n_workers * meetings:
        spins = _wait(spins)


@kernel(inline=True)
def worker_slice(array, worker):
    """Return the worker's part of an array that has one for each of the workers."""
    n = len(array) // worker.n_workers
    return array[worker.number * n : (worker.number + 1) * n]


@kernel(inline=True)
def stopped(team):
    """Return whether Python has asked to stop."""
    return _read(team, STOPPED) != 0
