"""A pytest plugin that puts the estimators in the place of scikit-learn's own.

``pytest -p in_place_of_sklearn --pyargs sklearn.neural_network.tests.test_mlp``
"""

from fastmlp.sklearn import replacement

replacement.replace()
