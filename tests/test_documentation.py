"""The examples in the README and the docstrings work as shown."""

import doctest
import importlib
import inspect
import pickle
import re
import tomllib
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

import fastmlp

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: The pages of docs/ by their paths, without what the build of the site has left there.
PAGES = {
    str(path.relative_to(ROOT / "docs")): path.read_text(encoding="utf-8")
    for pattern in ("*.md", "[a-z]*/*.md", "api/index.rst")
    for path in sorted((ROOT / "docs").glob(pattern))
}


#: The modules with examples in their docstrings.
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "fastmlp").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings(name, capsys):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0 < result.attempted, capsys.readouterr().out


def test_the_examples_are_there():
    from fastmlp import neural_net

    assert "NeuralNet" in {
        test.name.split(".")[-1]
        for test in doctest.DocTestFinder().find(neural_net)
        if test.examples
    }


def python_blocks():
    """Return the Python programs of the README; each continues those before it."""
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_readme_s_cluster(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    (code,) = [block for block in python_blocks() if "Client()" in block]
    X, y = fastmlp.datasets.digits()
    code = code.replace("Client()", "Client(processes=False, dashboard_address=':0')")
    names = {"X": X / 16, "y": y}
    with warnings.catch_warnings(action="ignore"):
        exec(code, names)
        names["client"].shutdown()
    assert fastmlp.load(tmp_path / "mlp.npz").score(X / 16, y) > 0.9


def test_the_readme_s_python(tmp_path, monkeypatch, capsys):
    use, together, estimators, tables, ensemble, _, pictures = python_blocks()
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(use, names)
    assert (tmp_path / "digits.npz").exists()
    accuracy = float(capsys.readouterr().out.split()[0])
    assert accuracy > 0.9
    assert names["net"].score(names["X"], names["y"]) > 0.9
    exec(together, names)
    assert min(net.score(names["X"], names["y"]) for net in names["nets"]) > 0.95
    exec(estimators, names)
    accuracy, n_iter = capsys.readouterr().out.split()
    assert float(accuracy) > 0.99 and int(n_iter) < 200  # it has converged, without a warning
    exec(tables, names)
    found = [float(price) for price in capsys.readouterr().out.strip("[]\n").split()]
    assert found == pytest.approx(names["prices"][:3], rel=0.05)
    exec(ensemble, names)
    found = fastmlp.load(tmp_path / "ensemble.npz").predict(names["houses"][:3])
    assert found == pytest.approx(names["prices"][:3], rel=0.05)
    matplotlib.use("Agg")
    exec(pictures, names)
    assert len(pyplot.get_fignums()) == 2
    pyplot.close("all")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def table_of_options():
    """Return the first code of each row of the table under "Training"."""
    table = README.split("## Training")[1].split("\n## ")[0]
    return [
        re.search(r"`([^`]*)`", row.split("|")[2])[1]
        for row in re.findall(r"^\|.*$", table, re.M)[2:]
    ]


@pytest.mark.filterwarnings("ignore::fastmlp.DivergenceWarning")
@pytest.mark.parametrize("code", table_of_options())
def test_the_readme_s_options(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = fastmlp.datasets.digits()
    np.save("X.npy", X)
    names = vars(fastmlp) | {name: getattr(fastmlp, name) for name in fastmlp.__all__}
    names |= {"np": np, "X": X, "y": y, "mlp": fastmlp.MLP([64, 8, 10], random_state=0)}
    made = eval(code, names)
    assert isinstance(made, fastmlp.MLP)
    if code.startswith("MLP"):
        targets = {10: y, 3: np.stack([y < 3, y < 5, y % 2], axis=1), 1: y}[made.layers[-1]]
        made.fit(X / 16, targets, epochs=2)
        assert made.history_["loss"][1] < made.history_["loss"][0]


def test_the_readme_s_links_are_absolute_and_lead_somewhere():
    """PyPI, which shows the README too, does not resolve relative links."""
    source = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
    references = dict(re.findall(r"^(\[.+\]): (\S+)$", README, re.M))
    inline = re.findall(r"\]\(([^)]+)\)", README)
    own = [link for link in (*references.values(), *inline) if link.startswith(source)]
    assert own and all(link.startswith("https://") for link in (*references.values(), *inline))
    for path in (link.removeprefix(source) for link in own):
        kind = "/raw/main/" if path.endswith(".svg") else "/blob/main/"
        assert path.startswith(kind) and (ROOT / path.removeprefix(kind)).exists(), path
    text = README.partition("<!-- Absolute")[0]
    assert all(text.count(label) > 0 for label in references)
    assert set(re.findall(r"\[`\w+[./]\w.*?`\]", text)) <= set(references)


def test_the_readme_s_figures_are_what_the_command_wrote():
    assert (ROOT / "asv_benches/peers/tables.md").read_text(encoding="utf-8") in README


def examples_of(page):
    """Return a page with its examples alone, each in its line."""
    kept, inside = [], False
    lines = PAGES[page].split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line == "```python" and following.startswith(">>>"):
            inside = True
        elif line == "```":
            inside = False
        kept.append(line if inside and line != "```python" else "")
    return "\n".join(kept)


@pytest.mark.parametrize("page", [page for page in PAGES if ">>>" in examples_of(page)])
def test_the_examples_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(examples_of(page), {}, page, page, 0)
    report = []
    failed, tried = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert failed == 0, "".join(report)
    assert tried == PAGES[page].count("\n>>> ")


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_links_to_exist(page):
    for kind, path in re.findall(
        r"https://github\.com/fastmlp/fastmlp/(blob|tree)/main/([^)\s#`>]+)", PAGES[page]
    ):
        found = ROOT / path
        assert found.is_file() if kind == "blob" else found.is_dir(), path


def test_every_public_name_has_a_page():
    names = re.findall(r"^   (\w+)$", PAGES["api/index.rst"], re.M)
    modules = ["", *(f".{name}" for name in ("callbacks", "datasets", "plotting", "sklearn"))]
    public = {
        name
        for module in modules
        for name in importlib.import_module(f"fastmlp{module}").__all__
        if not inspect.ismodule(getattr(fastmlp, name, None)) and name != "__version__"
    }
    tables = [fastmlp.losses.LOSSES, fastmlp.optimizers.OPTIMIZERS, fastmlp.schedules.SCHEDULES]
    public |= {kind.__name__ for table in tables for kind in table.values()}
    public |= {*fastmlp.metrics.METRICS, *fastmlp.initializers.INITIALIZERS}
    assert public <= set(names)


def test_public_functions_have_docstrings():
    for path in (ROOT / "fastmlp").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if name.endswith("__main__"):
            continue
        module = importlib.import_module(name.removesuffix(".__init__"))
        for attribute, value in vars(module).items():
            if callable(value) and getattr(value, "__module__", "") == module.__name__:
                assert attribute.startswith("_") or value.__doc__, f"{name}.{attribute}"


@pytest.mark.parametrize("kind", [fastmlp.MLP, fastmlp.NeuralNet])
def test_fit_is_documented_as_returning_the_network_of_its_class(kind):
    assert "Returns\n-------\nself\n" in inspect.getdoc(kind.fit)


def test_the_warning_has_its_public_name():
    warning = fastmlp.DivergenceWarning
    assert f"{warning.__module__}.{warning.__qualname__}" == "fastmlp.DivergenceWarning"
    assert pickle.loads(pickle.dumps(warning)) is warning
