"""Names for the classes of a classifier that was fitted to their positions."""

import io

import numpy as np
import pytest

import fastmlp
from fastmlp.sklearn import MLPClassifier
from fastmlp.sklearn.classes import is_multilabel, name_classes

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.RandomState(0).randn(60, 3)
NAMES = np.array(["ä", "b", "c"])
NAMES.sort()


@pytest.mark.parametrize("known", [[0, 1, 2], [0, 2], [1], [1, 2]])
@pytest.mark.parametrize("names", [NAMES, np.array([-1.0, 2.0, 3.0]), np.array([3, 5, 7])])
def test_names_are_those_of_the_positions(known, names):
    y = np.resize(known, 60)
    by_position = MLPClassifier(5, max_iter=3, random_state=0).fit(X, y)
    expected = MLPClassifier(5, max_iter=3, random_state=0).fit(X, names[y])
    name_classes(by_position, names)
    other = io.BytesIO()
    by_position.save(other)
    other.seek(0)
    for model in (by_position, fastmlp.load(other)):
        np.testing.assert_array_equal(model.classes_, expected.classes_)
        np.testing.assert_array_equal(model.predict(X), expected.predict(X))
        assert model.predict(X).dtype == expected.predict(X).dtype
        assert model.score(X, names[y]) == expected.score(X, names[y])
        assert not is_multilabel(model)


def test_other_names_are_refused():
    model = MLPClassifier(5, max_iter=3).fit(X, np.resize([0, 1, 2], 60))
    for wrong in (NAMES[::-1], NAMES[:2], NAMES[[0, 1, 1]]):
        with pytest.raises(ValueError, match="^`names` must be sorted, different and one for each"):
            name_classes(model, wrong)
    assert model.classes_.tolist() == [0, 1, 2]


def test_labels():
    assert is_multilabel(MLPClassifier(5, max_iter=2).fit(X, (X > 0).astype(int)))
