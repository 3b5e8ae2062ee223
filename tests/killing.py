"""Trainings in forked processes, which are killed; POSIX only."""

import os
import signal

from fastmlp.callbacks import Callback


class Begins(Callback):
    """Writes a byte to a pipe, if there is one, when training begins."""

    pipe = None

    def on_train_begin(self, logs=None):
        if self.pipe is not None:
            os.write(self.pipe, b"!")


def forked(function, *arguments):
    """Fork a process that calls `function` and then ends; return its id and a pipe.

    A byte comes out of the pipe when a training with a `Begins` begins there, and its end when the
    process does.
    """
    begun, begins = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            Begins.pipe = begins
            code = function(*arguments) or 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(begins)
    return child, begun


def end_of(child):
    """Wait for a process to end; return its exit code, below zero for a signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def was_killed(child):
    """Wait for a process to end: whether by SIGKILL; any other failure is an error."""
    code = end_of(child)
    assert code in (0, -signal.SIGKILL), code
    return code != 0
