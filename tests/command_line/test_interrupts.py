"""Ctrl-C during training saves the model."""

import os
import signal
import time
from types import SimpleNamespace

import pytest

import fastmlp
from fastmlp import command_line
from fastmlp.command_line import commands
from helpers.command_line import interrupted, make_images


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_interrupt_saves_the_state_so_far(files):
    args = ("train", "images", "labels", "--epochs", 1_000_000_000)
    code, out, err = interrupted(files, *args, wait_for=rb"loss=0\.00")
    assert code == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1] == (
        "fastmlp: interrupted; the model trained so far is saved to model.npz"
    )
    images, labels = make_images()
    assert fastmlp.NeuralNet.load(files / "model.npz").score(images.reshape(100, 24), labels) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_in_the_background_interrupts_stay_ignored(files):
    args = ("train", "images", "labels", "--epochs", 100_000)
    code, out, err = interrupted(files, *args, wait_for=rb"loss=", handler=signal.SIG_IGN)
    assert code == 0, err
    assert "100000 epochs" in out and "interrupted" not in err


@pytest.mark.parametrize("call", ["perf_counter", "save"])
def test_a_second_interrupt_does_not_cost_the_model(files, call, monkeypatch, capsys):
    """Neither while the model is saved nor in the call before."""
    fit, save = fastmlp.NeuralNet.fit, fastmlp.NeuralNet.save
    clock = SimpleNamespace(perf_counter=time.perf_counter)

    def twice(self, *arguments, **others):
        fit(self, *arguments, **others)
        if "verbose" in others:  # not the fit that compiles
            clock.perf_counter = interrupted
            raise KeyboardInterrupt

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        return save(*arguments) if arguments else time.perf_counter()

    monkeypatch.chdir(files)
    monkeypatch.setattr(fastmlp.NeuralNet, "fit", twice)
    if call == "save":
        monkeypatch.setattr(fastmlp.NeuralNet, "save", interrupted)
    else:
        monkeypatch.setattr(commands, "time", clock)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert command_line.main(["train", "images", "labels", "--epochs", "1"]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.endswith("saved to model.npz\n")
    fastmlp.load("model.npz")


def test_interrupt_elsewhere(monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "predict", interrupt)
    assert command_line.main(["predict", "model.npz", "digits"]) == 130
    assert capsys.readouterr().err == "fastmlp: interrupted\n"
