"""
=====================
Text as sparse counts
=====================

The simplest way to give text to a network is to count its words. There are thousands of words, and
a text has few of them, so nearly all counts are zero. scikit-learn's ``CountVectorizer`` stores the
others alone, in a sparse matrix, and fastmlp trains on that matrix as it is: it never becomes a
dense one.

The texts are on every machine that has SciPy: the documentation of its functions. From the
description of a function, the network is to guess which part of SciPy it belongs to.
"""

import importlib
import inspect
import re

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import train_test_split

from fastmlp import MLP
from fastmlp.plotting import ConfusionMatrixDisplay

# %%
# The texts
# ---------
#
# The description of each public function or class, up to the list of its parameters.

PARTS = ["interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "special", "stats"]


def descriptions(part):
    """Return the descriptions in one part of SciPy, each once, in alphabetical order."""
    module = importlib.import_module(f"scipy.{part}")
    found = (inspect.getdoc(getattr(module, name)) or "" for name in sorted(module.__all__))
    return dict.fromkeys(re.split(r"Parameters\n", text)[0].strip() for text in found)


texts, labels = [], []
for k, part in enumerate(PARTS):
    found = [text for text in descriptions(part) if len(text) > 60]
    texts += found
    labels += [k] * len(found)
y = np.array(labels)
print(f"{len(texts):,} descriptions, for example:\n\n{texts[300][:300]}")

# %%
# Count the words
# ---------------
#
# Words that occur in one text only teach nothing about others, and words that are in most texts say
# little. The names of the parts themselves are left out as well: they would give the answer away.

texts_train, texts_test, y_train, y_test = train_test_split(
    texts, y, test_size=0.3, stratify=y, random_state=0
)
vectorizer = CountVectorizer(
    min_df=2, max_df=0.5, stop_words=["scipy", *PARTS], token_pattern=r"[a-z]{3,}", dtype=np.float32
)
X_train = vectorizer.fit_transform(texts_train)
X_test = vectorizer.transform(texts_test)
stored = X_train.data.nbytes + X_train.indices.nbytes + X_train.indptr.nbytes
print(f"{X_train.shape[0]:,} texts, {X_train.shape[1]:,} words")
print(f"not zero: {X_train.nnz / np.prod(X_train.shape):.1%}")
print(f"sparse {stored / 1e6:.1f} MB, dense {np.prod(X_train.shape) * 4 / 1e6:.1f} MB")

# %%
# Train
# -----
#
# ``fit`` takes the sparse matrix in place of an array. There are many more words than texts, so the
# texts are easy to learn by heart; dropout works against that. More than half of the texts are
# about special functions and statistics; with ``class_weight="balanced"`` every part counts the
# same.

mlp = MLP([X_train.shape[1], 64, len(PARTS)], dropout=0.5, random_state=0)
mlp.fit(X_train, y_train, epochs=40, class_weight="balanced")
commonest = np.bincount(y_test).max() / len(y_test)
print(f"accuracy {mlp.score(X_test, y_test):.3f}; always the commonest part: {commonest:.3f}")

# %%
# Which parts are confused? Every row has the texts of one part, as shares of the row. Expect linear
# algebra among the errors, whose functions do to dense matrices what those of ``sparse`` do to
# sparse ones.

ConfusionMatrixDisplay.from_estimator(
    mlp, X_test, y_test, display_labels=PARTS, normalize="true", values_format=".2f"
)
plt.show()

# %%
# Ask it
# ------
#
# Sentences that are in no documentation. Words that the vectorizer has not seen do not count. The
# probabilities are far from one, since a sentence has fewer words than a description.

questions = [
    "remove the noise of a recording with a low pass filter",
    "find the minimum of a function with constraints",
    "does the mean of two samples differ significantly",
    "blur an image and find its edges",
    "a smooth curve through some points",
]
for question, p in zip(questions, mlp.predict_proba(vectorizer.transform(questions)), strict=True):
    best = p.argsort()[::-1][:2]
    print(f"{question}: " + ", ".join(f"{PARTS[k]} {p[k]:.2f}" for k in best))
