"""What the README and the docstrings show does what they say."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["neural_net", "numpy_version", "datasets", "datasets.idx", "command_line"]
)
def test_examples_in_docstrings(name, capsys):
    module = importlib.import_module(f"fastmlp.{name}")
    result = doctest.testmod(module)
    assert result.failed == 0, capsys.readouterr().out


def test_the_examples_are_there():
    from fastmlp import neural_net

    assert "NeuralNet" in {
        test.name.split(".")[-1]
        for test in doctest.DocTestFinder().find(neural_net)
        if test.examples
    }


def test_the_readme_s_python(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    assert (tmp_path / "digits.npz").exists()
    accuracy = float(capsys.readouterr().out.split()[0])
    assert accuracy > 0.9
    assert names["net"].score(names["X"], names["y"]) > 0.9


def test_the_readme_s_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    local = [link for link in links if "://" not in link]
    assert local
    for link in local:
        assert (ROOT / link).exists(), link


def test_the_readme_s_figures_are_what_the_command_wrote():
    assert (ROOT / "asv_benches/peers/tables.md").read_text(encoding="utf-8") in README


def test_public_functions_have_docstrings():
    for path in (ROOT / "fastmlp").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if name.endswith("__main__"):
            continue
        module = importlib.import_module(name.removesuffix(".__init__"))
        for attribute, value in vars(module).items():
            if callable(value) and getattr(value, "__module__", "") == module.__name__:
                assert attribute.startswith("_") or value.__doc__, f"{name}.{attribute}"
