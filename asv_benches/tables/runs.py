"""Fit a method on a split of a table, and keep each result in a file of JSON lines."""

import json
import time
import warnings

import numpy as np
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits


def split(X, y, is_classification, seed):
    """Return the parts of a split: four fifths to train, the rest to test, stratified by class."""
    strata = y if is_classification else None
    return train_test_split(X, y, test_size=0.2, random_state=seed, stratify=strata)


def run(make, X, y, is_classification, seed):
    """Fit on a split; return its test score, log loss if there are classes, and seconds of fit.

    The score is accuracy or R2, as of scikit-learn's estimators. Seconds are processor time.
    """
    X_train, X_test, y_train, y_test = split(X, y, is_classification, seed)
    model = make(is_classification, seed)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # networks that have not converged
        start = time.process_time()
        model.fit(X_train, y_train)
        seconds = time.process_time() - start
        if not is_classification:
            predicted = np.ravel(model.predict(X_test))
            return {"score": r2_score(y_test, predicted), "seconds": seconds}
        probabilities = model.predict_proba(X_test)
        predicted = np.asarray(model.classes_)[np.argmax(probabilities, axis=1)]
    return {
        "score": accuracy_score(y_test, predicted),
        "log_loss": log_loss(y_test, probabilities, labels=model.classes_),
        "seconds": seconds,
    }


class Results:
    """The results so far, by (table, method, split), each written to `path` at once.

    A line that a stopped run left incomplete is ignored, and its result measured again.
    """

    def __init__(self, path):
        self.path = path
        self.found = {}
        if not path.exists():
            return
        for line in path.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            self.found[row.pop("table"), row.pop("method"), row.pop("split")] = row

    def __contains__(self, key):
        return key in self.found

    def add(self, key, result):
        """Keep a result, on a line of its own even after an incomplete one."""
        table, method, seed = key
        row = {"table": table, "method": method, "split": seed, **result}
        with self.path.open("a+") as file:
            file.seek(0)
            ends = not (text := file.read()) or text.endswith("\n")
            file.write(("" if ends else "\n") + json.dumps(row) + "\n")
        self.found[key] = result

    def by_split(self, table, method, what="score"):
        """Return the values of a method by split."""
        return {
            seed: row[what]
            for (of, by, seed), row in sorted(self.found.items())
            if (of, by) == (table, method) and what in row
        }
