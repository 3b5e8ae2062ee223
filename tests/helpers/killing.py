"""Run functions in forked processes that are killed; POSIX only."""

import os
import signal

from fastmlp.callbacks import Callback


class Begins(Callback):
    """Writes a byte to a pipe, if there is one, when training starts."""

    pipe = None

    def on_train_begin(self, logs=None):
        if self.pipe is not None:
            os.write(self.pipe, b"!")


def forked(function, *arguments):
    """Fork a process that calls `function` and exits; return its id and a pipe.

    The pipe receives a byte when a training with a `Begins` starts, and is closed when the
    process ends.
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
    """Wait for a process to end; return its exit code, negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def was_killed(child):
    """Wait for a process to end; return whether SIGKILL ended it. Other failures raise."""
    code = end_of(child)
    assert code in (0, -signal.SIGKILL), code
    return code != 0
