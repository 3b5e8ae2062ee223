"""A pytest plugin that puts the estimators in the place of scikit-learn's own.

``pytest -p in_place_of_sklearn --pyargs sklearn.neural_network.tests.test_mlp``
"""

import sklearn.neural_network
import sklearn.neural_network._multilayer_perceptron as theirs

import fastmlp.sklearn

for place in (sklearn.neural_network, theirs):
    place.MLPClassifier = fastmlp.sklearn.MLPClassifier
    place.MLPRegressor = fastmlp.sklearn.MLPRegressor
