"""
================================
Hyperparameter search in threads
================================

scikit-learn's searches train many networks. By default they start a process for each processor,
and each imports the libraries and gets a copy of the data. That is needed for code that holds
Python's lock. fastmlp's compiled code does not hold it, so threads of one process can train the
networks at the same time: nothing is copied, and nothing has to start first.
"""

import warnings

import joblib
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import loguniform, randint
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, train_test_split

from fastmlp import datasets
from fastmlp.sklearn import MLPClassifier

# %%
# The search
# ----------
#
# Two questions at once: how many hidden units, and which learning rate? Each of the 25 combinations
# is judged by a cross-validation in three parts, so 75 networks are trained, and a last one with
# the best combination on all the training data.
#
# Every network gets 20 epochs. scikit-learn warns that some could use more; here that is part of
# the question, so the warning is off. ``n_threads=1``: there are enough networks for all
# processors, so each of them needs one thread only.

X, y = datasets.digits()
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

warnings.filterwarnings("ignore", category=ConvergenceWarning)
clf = MLPClassifier(batch_size=32, max_iter=20, n_threads=1, random_state=0)
grid = {
    "hidden_layer_sizes": [4, 8, 16, 32, 64],
    "learning_rate_init": [0.001, 0.003, 0.01, 0.03, 0.1],
}
search = GridSearchCV(clf, grid, cv=3)

# %%
# One line makes scikit-learn use threads, in this and in every other search, and in
# ``cross_val_score``.

with joblib.parallel_config(backend="threading", n_jobs=2):
    search.fit(X_train, y_train)
print("best:", search.best_params_)
print(f"accuracy in the cross-validation {search.best_score_:.3f}, on the test data ", end="")
print(f"{search.score(X_test, y_test):.3f}")

# %%
# The number of threads changes the time only. Without any, the scores are the same to the last
# digit, since the networks have the same bits.

alone = GridSearchCV(clf, grid, cv=3).fit(X_train, y_train)
scores = search.cv_results_["mean_test_score"]
print("the same scores:", np.array_equal(scores, alone.cv_results_["mean_test_score"]))

# %%
# The picture of a search
# -----------------------
#
# Look at where the fewest errors are. In the middle, as for the learning rate, the search has found
# an optimum. At an edge, it would only have found where to search on: with more hidden units there
# might be fewer errors still, but each doubling gains less, and the last one hardly anything.

sizes, rates = grid["hidden_layer_sizes"], grid["learning_rate_init"]
table = 100 * (1 - scores.reshape(len(sizes), len(rates)))  # the last parameter changes fastest
figure, ax = plt.subplots(figsize=(5.6, 5), layout="constrained")
image = ax.imshow(table, cmap="cividis_r", norm="log", origin="lower")
for (i, j), error in np.ndenumerate(table):
    color = "white" if image.norm(error) > 0.5 else "black"
    ax.text(j, i, f"{error:.1f}", ha="center", va="center", color=color)
ax.set_title("% wrong in the cross-validation")
ax.set(xticks=range(len(rates)), xticklabels=rates, xlabel="learning rate")
ax.set(yticks=range(len(sizes)), yticklabels=sizes, ylabel="hidden units")
plt.show()

# %%
# Many candidates, few epochs
# ---------------------------
#
# A grid spends as much on its worst corner as on its best one. ``HalvingRandomSearchCV`` draws
# candidates at random, trains all of them for a few epochs, keeps the best third and trains these
# for three times as many, and so on: the resource that it divides is ``max_iter``. No training may
# end before that, so ``n_iter_no_change`` is set. scikit-learn calls this search experimental, and
# an import above enables it. The same line runs it in threads.

distributions = {
    "hidden_layer_sizes": randint(4, 129),
    "learning_rate_init": loguniform(0.0003, 0.1),
    "alpha": loguniform(1e-6, 1e-1),
}
halving = HalvingRandomSearchCV(
    MLPClassifier(batch_size=32, n_iter_no_change=27, n_threads=1, random_state=0),
    distributions,
    resource="max_iter",
    n_candidates=27,
    min_resources=3,
    max_resources=27,
    cv=3,
    random_state=0,
)
with joblib.parallel_config(backend="threading", n_jobs=2):
    halving.fit(X_train, y_train)
for n, epochs in zip(halving.n_candidates_, halving.n_resources_, strict=True):
    print(f"{n:2d} candidates, {epochs:2d} epochs each")
size, rate = (halving.best_params_[name] for name in ("hidden_layer_sizes", "learning_rate_init"))
print(f"best: {size} hidden units, learning rate {rate:.4f}")
print(f"accuracy on the test data {halving.score(X_test, y_test):.3f}")

# %%
# Each dot is a candidate, and each line leads to its score with three times the epochs. The three
# that were left at the end are in orange.

results = halving.cv_results_
figure, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
candidates = {}
for parameters, epochs, score in zip(
    results["params"], results["n_resources"], results["mean_test_score"], strict=True
):
    key = parameters["hidden_layer_sizes"], parameters["learning_rate_init"]
    candidates.setdefault(key, []).append((epochs, 100 * (1 - score)))
for points in candidates.values():
    last = len(points) == len(halving.n_resources_)
    ax.plot(*zip(*points, strict=True), "o-", color="C1" if last else "0.6", zorder=2 + last)
ax.set(xlabel="epochs", xscale="log", yscale="log", ylabel="% wrong in the cross-validation")
ax.set_xticks(halving.n_resources_, halving.n_resources_)
ax.minorticks_off()
plt.show()
