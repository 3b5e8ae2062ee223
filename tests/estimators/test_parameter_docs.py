"""Both estimators document each parameter, and those that they share with the same words.

The text is written out twice, as scikit-learn does it: editors and reviewers read docstrings in the
source, where text that is put together at import would be missing.
"""

import inspect
import re

import pytest

from fastmlp.sklearn import MLPClassifier, MLPRegressor


def documented(kind):
    """Return the documentation of each parameter by its name, which begins with its type."""
    (section,) = re.findall(r"\nParameters\n-+\n(.*?)\n\n", inspect.getdoc(kind), re.DOTALL)
    found = {}
    each = re.compile(r"^(\S.*?) : (.*?)(?=\n\S|\Z)", re.DOTALL | re.MULTILINE)
    for names, text in each.findall(section):
        found |= dict.fromkeys(names.split(", "), text)
    return found


def test_the_same_parameters_have_the_same_text():
    classifier, regressor = documented(MLPClassifier), documented(MLPRegressor)
    shared = classifier.keys() & regressor.keys()
    assert len(shared) >= 31
    for name in shared:
        assert classifier[name] == regressor[name], name


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_every_parameter_is_documented_with_its_default(kind):
    parameters = inspect.signature(kind).parameters
    texts = documented(kind)
    assert list(texts) == list(parameters)
    for name, parameter in parameters.items():
        (given,) = re.findall(r"default=(.*)\n", texts[name])
        if name not in ("beta_1", "beta_2"):  # documented together
            assert eval(given) == parameter.default, name
