"""The line that says that something compiles."""

import io
import itertools
import sys
from types import ModuleType, SimpleNamespace

import pytest

from fastmlp import command_line
from fastmlp.callbacks import Progress, output
from fastmlp.callbacks.output import COMPILING, shown_on
from fastmlp.command_line import commands
from fastmlp.core.machine import code_cache, kernel
from helpers.callbacks import At


def plus(x, y):
    return x + y


@pytest.fixture
def compile_one(monkeypatch, tmp_path):
    """Return a function that compiles a kernel, with an empty cache and a process that is new."""
    monkeypatch.setattr(kernel.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(output, "DELAY", 0.0)
    output._shown.clear()
    compiled = kernel.kernel(plus, entry=True)
    values = itertools.product((1, 1.0, True, 1j), repeat=2)  # each pair of types is compiled

    def compile_next(*_):
        compiled(*next(values))

    yield compile_next
    output._shown.set()


def test_a_line_says_once_that_something_compiles(compile_one):
    stream = io.StringIO()
    with shown_on(stream):
        compile_one()
        compile_one()
    assert stream.getvalue() == COMPILING + "\n"


def test_what_is_compiled_in_a_moment_is_not_mentioned(compile_one, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(output, "DELAY", 60.0)
    with shown_on(stream):
        compile_one()
    assert stream.getvalue() == "" and not output._shown.is_set()


def test_code_that_is_loaded_is_not_mentioned(compile_one):
    stream = io.StringIO()
    compile_one()
    with shown_on(stream):
        assert kernel.kernel(plus, entry=True)(1, 1) == 2
    assert stream.getvalue() == ""


def test_code_that_cannot_be_kept_is_not_mentioned(compile_one, monkeypatch):
    """It is compiled in every process, as a warning says."""
    stream = io.StringIO()
    monkeypatch.setattr(code_cache._Folder, "from_function", lambda function, file: None)
    monkeypatch.setattr(code_cache._NoCache, "told", False)
    with shown_on(stream), pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        assert kernel.kernel(plus, entry=True)(1, 1) == 2
    assert stream.getvalue() == ""


def test_nothing_is_written_where_no_person_waits(compile_one, make_mlp, data, capsys):
    with shown_on(io.StringIO()):
        pass
    make_mlp().fit(*data, epochs=1, callbacks=[At("on_epoch_begin", compile_one)])
    compile_one()
    assert capsys.readouterr() == ("", "")


def test_a_verbose_fit_mentions_it_above_the_bar(compile_one, make_mlp, data, capsys):
    make_mlp().fit(*data, epochs=1, callbacks=[At("on_epoch_begin", compile_one)], verbose=True)
    out, err = capsys.readouterr()
    lines = err.replace("\r", "\n").split("\n")
    assert lines.count(COMPILING) == 1 and out == ""
    assert "60.0/60.0" in err.split(COMPILING)[1]


def test_the_line_goes_to_the_stream_of_the_bar(compile_one, make_mlp, data, capsys):
    stream = io.StringIO()
    callbacks = [Progress(stream), At("on_epoch_begin", compile_one)]
    make_mlp().fit(*data, epochs=1, callbacks=callbacks)
    assert stream.getvalue().count(COMPILING) == 1
    compile_one()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("shell", "n_lines"), [({"kernel": None}, 1), ({}, 0)])
def test_notebooks_mention_it_and_terminals_of_ipython_do_not(
    compile_one, monkeypatch, capsys, shell, n_lines
):
    module = ModuleType("IPython")
    module.get_ipython = lambda: SimpleNamespace(**shell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    compile_one()
    assert capsys.readouterr().err.count(COMPILING) == n_lines


def test_the_command_line_mentions_it(compile_one, monkeypatch, capsys):
    monkeypatch.setattr(commands, "predict", compile_one)
    assert command_line.main(["predict", "model", "digits"]) == 0
    assert capsys.readouterr() == ("", COMPILING + "\n")
    output._shown.clear()
    compile_one()
    assert capsys.readouterr() == ("", "")


def test_a_closed_stream_does_not_matter(compile_one):
    stream = io.StringIO()
    stream.close()
    with shown_on(stream):
        compile_one()
