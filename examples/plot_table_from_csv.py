"""
==================
A table from a CSV
==================

A file as it comes from somewhere else: numbers, text, yes and no, missing values, and a column with
the numbers of the customers. The tabular preset takes it as it is. First in Python with pandas,
then from the command line, without writing a program at all.

The example makes the file itself, so it is known how much there is to learn.
"""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import fastmlp
from fastmlp.plotting import PermutationImportanceDisplay
from fastmlp.sklearn import MLPClassifier

# %%
# The file
# --------
#
# Some customers of a telephone company have cancelled. In these data, those cancel who
# have called the support often, or pay much and may leave every month; age, town and newsletter
# have no influence. A tenth decides otherwise, whatever the columns say. So no model can be right
# about more than some 90 % of the customers.


def make_customers(n, random):
    """Return a table of n customers, as a file may have it."""
    contract = random.choice(["monthly", "one year", "two years"], n, p=[0.5, 0.3, 0.2])
    fee = np.round(random.uniform(5, 60, n), 2)
    calls = random.poisson(2, n)
    cancelled = (calls >= 5) | ((fee > 30) & (contract == "monthly"))
    cancelled ^= random.random(n) < 0.1
    table = pd.DataFrame(
        {
            "customer": [f"C-{k:05}" for k in random.permutation(n)],
            "contract": contract,
            "fee": fee,
            "age": random.integers(18, 90, n),
            "town": random.choice(["Köln", "Ulm", "Zürich", "Graz"], n),
            "newsletter": random.choice(["yes", "no"], n),
            "support calls": calls,
            "cancelled": np.where(cancelled, "yes", "no"),
        }
    )
    for name, share in {"fee": 0.02, "age": 0.3, "town": 0.1, "newsletter": 0.2}.items():
        table[name] = table[name].mask(random.random(n) < share)
    return table


folder = tempfile.TemporaryDirectory()
train_csv, test_csv = Path(folder.name, "customers.csv"), Path(folder.name, "new.csv")
random = np.random.default_rng(0)
make_customers(1600, random).to_csv(train_csv, index=False)
make_customers(800, random).to_csv(test_csv, index=False)
print("".join(train_csv.read_text(encoding="utf-8").splitlines(keepends=True)[:9]))

# %%
# In Python
# ---------
#
# ``preset="tabular"`` looks at the columns, encodes text as categories, scales numbers by their
# quantiles and marks missing values. It holds out a part of the rows and keeps the best epoch. Only
# one decision is left to you: the number of a customer says nothing about customers to come, so
# that column is dropped.

train, test = pd.read_csv(train_csv), pd.read_csv(test_csv)
X_train, y_train = train.drop(columns=["customer", "cancelled"]), train["cancelled"]
X_test, y_test = test.drop(columns=["customer", "cancelled"]), test["cancelled"]

model = MLPClassifier(preset="tabular", random_state=0).fit(X_train, y_train)
print(f"accuracy: {model.score(X_test, y_test):.3f}")
print(f"always answering the commonest class: {y_test.value_counts(normalize=True).iloc[0]:.3f}")

# %%
# One file holds the columns, the categories, the classes and the weights, and can be loaded without
# running anything that it contains. A table with a missing value, or a town that is new, is
# predicted as well.

model_path = Path(folder.name, "cancelled.npz")
model.save(model_path)
customer = X_test.iloc[[0]].assign(town="Bern", age=np.nan)
probability = fastmlp.load(model_path).predict_proba(customer)[0, 1]
print(customer.to_string(index=False))
print(f"probability of cancelling: {probability:.2f}")

# %%
# Which columns matter?
# ---------------------
#
# Shuffle one column of the test data, so that it says nothing any more, and see how much accuracy
# is lost. Expect the three columns that the answer was made of, and about zero for the others.

PermutationImportanceDisplay.from_estimator(model, X_test, y_test, random_state=0)
plt.show()

# %%
# The same from the command line
# ------------------------------
#
# ``train`` finds the kinds of the columns, says what it has found, and holds out a fifth of the
# rows for the score that it prints. ``--id`` names the column that it is not to learn from, and
# that the predictions are to carry.


def shell(command):
    """Run a command of fastmlp in the folder of the files, and print what it prints."""
    print("$", command)
    module = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(module, cwd=folder.name, capture_output=True, check=True)
    print(done.stdout.decode())


shell("fastmlp train customers.csv --target cancelled --id customer --out model.npz")

# %%
# ``evaluate`` scores it on the other file, as above, and ``predict`` writes a file with an answer
# for each customer.

shell("fastmlp evaluate model.npz new.csv")
shell("fastmlp predict model.npz new.csv --out predictions.csv --probabilities")
print(pd.read_csv(Path(folder.name, "predictions.csv")).head(4).to_string(index=False))
folder.cleanup()
