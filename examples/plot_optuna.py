"""
==================
Search with Optuna
==================

`Optuna <https://optuna.org>`_ chooses the next parameters from the results so far, and gives up
trainings that do worse than others did by the same epoch. The callback ``OptunaPruning`` tells it
after each epoch how a training is going.
"""

import matplotlib.pyplot as plt
import optuna
from sklearn.model_selection import train_test_split

from fastmlp import MLP, datasets
from fastmlp.callbacks import OptunaPruning

# %%
# The objective
# -------------
#
# A function that trains a network and returns its score. It asks the trial for the parameters, and
# gives it to the callback. If the trial is pruned, ``fit`` raises ``optuna.TrialPruned``: the
# function ends there, and Optuna goes on with the next trial.
#
# The study and the monitored value have to agree on which direction is better; otherwise ``fit``
# refuses to begin.

X, y = datasets.digits()
X_rest, X_test, y_rest, y_test = train_test_split(X, y, stratify=y, random_state=0)
X_train, X_val, y_train, y_val = train_test_split(X_rest, y_rest, stratify=y_rest, random_state=0)
FIT = {"epochs": 30, "batch_size": 32}


def new_network(parameters):
    """Return a network with these parameters."""
    return MLP(
        [64, parameters["hidden"], 10],
        learning_rate=parameters["learning_rate"],
        dropout=parameters["dropout"],
        optimizer="adam",
        input_scale=1 / 16,
        random_state=0,
        n_threads=1,
    )


def objective(trial):
    """Return the validation loss of a network with the parameters that the trial suggests."""
    mlp = new_network(
        {
            "hidden": trial.suggest_int("hidden", 4, 128, log=True),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        }
    )
    pruning = OptunaPruning(trial, "validation_loss")
    mlp.fit(X_train, y_train, **FIT, validation_data=(X_val, y_val), callbacks=[pruning])
    return mlp.history_["validation_loss"][-1]


# %%
# The search
# ----------
#
# ``n_jobs=2`` runs two trials at a time, in threads. That is what fastmlp is made for: its compiled
# code does not hold Python's lock. ``n_threads=1`` above, because there are enough networks for all
# processors. The order in which trials end then depends on chance, and with it what the sampler
# suggests next; ``n_jobs=1`` repeats a search exactly.

optuna.logging.set_verbosity(optuna.logging.WARNING)  # else a line for each trial
study = optuna.create_study(
    direction="minimize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3),
)
study.optimize(objective, n_trials=40, n_jobs=2)

pruned = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.PRUNED]
epochs = sum(len(trial.intermediate_values) for trial in study.trials)
print(f"{len(study.trials)} trials, {len(pruned)} of them pruned")
print(f"{epochs} epochs instead of {FIT['epochs'] * len(study.trials)}")
print(f"best validation loss {study.best_value:.3f}, with {study.best_params}")

# %%
# The network itself is trained again, with the best parameters and on the validation rows too.

mlp = new_network(study.best_params).fit(X_rest, y_rest, **FIT)
print(f"accuracy on the test data: {mlp.score(X_test, y_test):.3f}")

# %%
# What was pruned
# ---------------
#
# Each line is a trial. The grey ones ended where Optuna gave them up: when their loss was above the
# median of the others at the same epoch. Most of the work goes into trials that might win.

figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
for trial in study.trials:
    steps, losses = zip(*sorted(trial.intermediate_values.items()), strict=True)
    if trial.number == study.best_trial.number:
        style = {"color": "C1", "linewidth": 2.5, "zorder": 3, "label": "the best trial"}
    elif trial in pruned:
        style = {"color": "0.65", "linewidth": 1, "marker": "x", "markevery": [-1]}
    else:
        style = {"color": "C0", "linewidth": 1}
    ax.plot(steps, losses, **style)
ax.plot([], [], color="C0", linewidth=1, label="other trials that ended")
ax.plot([], [], color="0.65", linewidth=1, marker="x", label="pruned")
ax.set(xlabel="epoch", ylabel="validation loss", yscale="log")
figure.legend(loc="outside upper center", ncols=3)
plt.show()
