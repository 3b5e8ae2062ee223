"""The memory that training takes."""

import tracemalloc

import numpy as np

import fastmlp

from .data import make_images, make_labels

X_DTYPES = ["uint8", "float32", "float64"]


def make_net():
    return fastmlp.NeuralNet(
        [784, 64, 10],
        learning_rate=1e-8,  # inputs go up to 255
        output_activation="identity",
        dtype=np.dtype("float32"),
        random_state=0,
        n_threads=2,
    )


class PeakMemory:
    """Guards against copies of X: an epoch should need the same memory for every size of X."""

    params = [X_DTYPES]
    param_names = ["dtype of X"]

    def setup_cache(self):
        # Compilation needs more memory than training, so it happens here, in another process.
        for X_dtype in X_DTYPES:
            make_net().fit(np.zeros((1, 784), X_dtype), [0], epochs=1)

    def setup(self, X_dtype):
        n_samples = 20_000  # 15.7 MB in uint8
        X = make_images(n_samples, 784)
        self.X = X if X_dtype == "uint8" else X.astype(X_dtype)
        self.y = make_labels(n_samples, 10)

    def peakmem_fit(self, X_dtype):
        make_net().fit(self.X, self.y, epochs=1, batch_size=32)

    def track_allocated(self, X_dtype):
        """Return the bytes allocated; the process's peak also includes its libraries."""
        net = make_net()
        net.fit(self.X[:32], self.y[:32], epochs=1, batch_size=32)
        tracemalloc.start()
        try:
            net.fit(self.X, self.y, epochs=1, batch_size=32)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peakmem_fit.pretty_name = "Peak memory of an epoch over 20,000 images, by the dtype of X"
    track_allocated.unit = "bytes"
    track_allocated.pretty_name = "Memory that an epoch over 20,000 images allocates, without X"
