"""Callbacks that record what happens, act in one hook, or interrupt."""

import numpy as np

from fastmlp.callbacks import Callback
from helpers.same_bits import bits_of


class Recorder(Callback):
    """Records the calls of every hook, and the parameters after each epoch."""

    def __init__(self, events=None, name=""):
        self.events, self.name = [] if events is None else events, name
        self.logs, self.parameters = {}, []

    def record(self, hook, logs):
        self.events.append(self.name + hook)
        self.logs.setdefault(hook, []).append(logs)

    def set_model(self, model):
        super().set_model(model)
        self.events.append(self.name + "set_model")

    def on_train_begin(self, logs=None):
        self.record("begin", logs)

    def on_train_end(self, logs=None):
        self.record("end", logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.record(f"epoch {epoch} begins", logs)

    def on_epoch_end(self, epoch, logs=None):
        self.record(f"epoch {epoch} ends", logs)
        self.parameters.append(bits_of(self.model))

    def on_train_batch_end(self, batch, logs=None):
        self.record(f"run {batch}", logs)

    def close(self):
        self.record("close", None)


class At(Callback):
    """Calls a function in one of the hooks."""

    def __init__(self, hook, action):
        def called(*arguments):
            action(self.model, *arguments)

        setattr(self, hook, called)


def stop(model, *_):
    model.stop_training = True


def raiser(error):
    def action(*_):
        raise error

    return action


class Stub:
    """A model without training, whose weight is the monitored value."""

    def __init__(self):
        self.stop_training, self.weights, self.biases = False, [np.zeros((1, 1))], []


class Interrupt(Callback):
    """Interrupts training before an epoch, after the files of the last one were written."""

    def __init__(self, epoch=None):
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt
