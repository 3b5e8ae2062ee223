"""The same training in PyTorch in float64, with its modules, losses, optimizers and autograd."""

import itertools

import numpy as np
import pytest

from helpers.mlp_cases import NetOptions

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
F = torch.nn.functional

torch.set_num_threads(1)  # faster for such small networks

ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    # The default threshold is 20, where z and softplus(z) differ by 2e-9.
    "softplus": lambda z: F.softplus(z, threshold=40),
    "gelu": F.gelu,
    "silu": F.silu,
}


def softmax_loss(a, y, label_smoothing=0.0):
    return F.cross_entropy(a, y, reduction="none", label_smoothing=label_smoothing)


def huber_loss(a, y, delta=1.0):
    return F.huber_loss(a, y, reduction="none", delta=delta)


def pinball_loss(a, y, quantile=0.5):
    return torch.maximum(quantile * (y - a), (quantile - 1) * (y - a))


#: Each loss of every output of a minibatch; of every sample for softmax.
LOSSES = {
    "softmax": softmax_loss,
    "logistic": lambda a, y: F.binary_cross_entropy_with_logits(a, y, reduction="none"),
    "squared_error": lambda a, y: F.mse_loss(a, y, reduction="none"),
    "absolute_error": lambda a, y: F.l1_loss(a, y, reduction="none"),
    "huber": huber_loss,
    "poisson": lambda a, y: F.poisson_nll_loss(a, y, log_input=True, reduction="none"),
    "pinball": pinball_loss,
}


def optimizer_of(name, groups, rate, beta1=0.9, beta2=0.999, momentum=0.9, decay=0.99, epsilon=0):
    """Return PyTorch's optimizer for our names of it and its options."""
    some = {"eps": epsilon} if epsilon else {}
    if name in ("sgd", "momentum", "nesterov"):
        momentum = 0 if name == "sgd" else momentum
        return torch.optim.SGD(groups, rate, momentum=momentum, nesterov=name == "nesterov")
    if name == "rmsprop":
        return torch.optim.RMSprop(groups, rate, alpha=decay, **some)
    if name == "adagrad":
        return torch.optim.Adagrad(groups, rate, **some)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    return kind(groups, rate, betas=(beta1, beta2), **some)


class TorchMLP:
    """A network with `NetOptions`, and a function that makes a scheduler."""

    def __init__(self, weights, biases, *, scheduler=None, **options):
        given = NetOptions(**options)
        names, decay, self.l1, self.max_norm = given.of_layers(len(weights))
        self.activations = [ACTIVATIONS[name] for name in names]
        self.layers = [torch.nn.Linear(*w.shape[::-1], dtype=torch.float64) for w in weights]
        for layer, w, b in zip(self.layers, weights, biases, strict=True):
            layer.weight.data[...] = torch.from_numpy(w)
            layer.bias.data[...] = torch.from_numpy(b.ravel())
        self.loss_name, self.loss_options = given.loss, given.loss_options or {}
        groups = [
            {"params": [layer.weight], "weight_decay": float(d)}
            for layer, d in zip(self.layers, decay, strict=True)
        ]
        groups.append({"params": [layer.bias for layer in self.layers], "weight_decay": 0.0})
        self.optimizer = optimizer_of(
            given.optimizer, groups, given.learning_rate, **(given.optimizer_options or {})
        )
        self.scheduler = scheduler(self.optimizer) if scheduler else None
        self.clip_norm = given.clip_norm
        self.losses = []  # of every epoch

    @property
    def weights(self):
        return [layer.weight.detach().numpy() for layer in self.layers]

    @property
    def biases(self):
        return [layer.bias.detach().numpy().reshape(-1, 1) for layer in self.layers]

    def output(self, X):
        a = torch.as_tensor(X, dtype=torch.float64)
        for layer, f in zip(self.layers, self.activations, strict=True):
            a = f(layer(a))
        return a

    def loss(self, X, y, sample_weight):
        a = self.output(X)
        if self.loss_name == "softmax":
            y = torch.as_tensor(y, dtype=torch.int64 if np.ndim(y) == 1 else torch.float64)
        else:
            y = torch.as_tensor(y, dtype=torch.float64).reshape(a.shape)
        losses = LOSSES[self.loss_name](a, y, **self.loss_options)
        w = torch.as_tensor(sample_weight, dtype=torch.float64)
        return (w * losses.reshape(len(X), -1).mean(axis=1)).sum() / w.sum()

    def step(self, X, y, sample_weight):
        """Train on one minibatch; return its loss before the update."""
        self.optimizer.zero_grad()
        loss = self.loss(X, y, sample_weight)
        loss.backward()
        if self.clip_norm is not None:
            every = itertools.chain(*(layer.parameters() for layer in self.layers))
            torch.nn.utils.clip_grad_norm_(every, self.clip_norm)
        for layer, l1 in zip(self.layers, self.l1, strict=True):
            layer.weight.grad += l1 * torch.sign(layer.weight.data)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        for l, layer in enumerate(self.layers if self.max_norm is not None else []):
            norms = torch.linalg.vector_norm(layer.weight.data, dim=1, keepdim=True)
            layer.weight.data *= torch.clamp(self.max_norm[l] / norms, max=1)
        return loss.item()

    def fit(self, X, y, epochs=1, batch_size=32, sample_weight=None):
        """Train on the samples in the order given."""
        w = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        for _ in range(epochs):
            total = 0.0
            for first in range(0, len(X), batch_size):
                some = slice(first, first + batch_size)
                total += w[some].sum() * self.step(X[some], y[some], w[some])
            self.losses.append(total / w.sum())
        return self
