"""The same training and prediction in each system, as its documentation recommends for speed.

float32, plain SGD with learning rate `RATE`, relu, softmax cross-entropy, and a new order of the
samples in each epoch. Each function returns two others: ``epoch()`` trains on every sample once,
and ``predict(rows)`` returns the predicted labels as a NumPy array.
"""

import numpy as np

RATE = 0.05


def make_samples(layers, n):
    """Return X in float32, clustered by class, of which 19 % is not zero, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, layers[-1], n)
    X = rng.random((layers[-1], layers[0]), np.float32)[labels]
    X += rng.random(X.shape, np.float32)
    X *= 0.5 * (rng.random(X.shape, np.float32) < 0.19)
    return X, labels


def make_weights(layers):
    """Return Xavier weights (n_in, n_out) and zero biases of each layer in float32."""
    rng = np.random.default_rng(1)
    pairs = list(zip(layers[:-1], layers[1:], strict=True))
    weights = [rng.standard_normal(pair, np.float32) * np.sqrt(2 / sum(pair)) for pair in pairs]
    return [w.astype(np.float32) for w in weights], [np.zeros(n, np.float32) for _, n in pairs]


def fastmlp_system(layers, batch_size, X, labels, n_threads):
    import fastmlp

    net = fastmlp.NeuralNet(
        layers,
        RATE,
        output_activation="identity",
        dtype=np.float32,
        random_state=0,
        n_threads=n_threads,
    )
    return lambda: net.fit(X, labels, epochs=1, batch_size=batch_size), net.predict


def numpy_system(layers, batch_size, X, labels, n_threads):
    weights, biases = make_weights(layers)
    one_hots = np.eye(layers[-1], dtype=np.float32)[labels]
    rng, last = np.random.default_rng(2), len(weights) - 1

    def forward(rows):
        a = [rows]
        for l, (w, b) in enumerate(zip(weights, biases, strict=True)):
            z = a[-1] @ w + b
            a.append(z if l == last else np.maximum(z, 0))
        return a

    def epoch():
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            a = forward(X[rows])
            p = np.exp(a[-1] - a[-1].max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            delta = (p - one_hots[rows]) / np.float32(len(rows))
            for l in range(last, -1, -1):
                weight_grads, bias_grads = a[l].T @ delta, delta.sum(axis=0)
                if l > 0:
                    delta = (delta @ weights[l].T) * (a[l] > 0)
                weights[l] -= np.float32(RATE) * weight_grads
                biases[l] -= np.float32(RATE) * bias_grads

    return epoch, lambda rows: forward(rows)[-1].argmax(axis=1)


def sklearn_system(layers, batch_size, X, labels, n_threads):
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        layers[1:-1],
        solver="sgd",
        momentum=0,
        nesterovs_momentum=False,
        alpha=0,
        learning_rate_init=RATE,
        batch_size=batch_size,
        max_iter=1,
    )
    return lambda: model.fit(X, labels), model.predict


def torch_system(layers, batch_size, X, labels, n_threads):
    import torch

    torch.set_num_threads(n_threads)
    modules = []
    for n_in, n_out in zip(layers[:-1], layers[1:], strict=True):
        modules += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1])
    loss_of = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(labels)

    def epoch():
        model.train()
        for rows in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss_of(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()
        model.eval()

    @torch.inference_mode()
    def predict(rows):
        return model(torch.from_numpy(rows)).argmax(dim=1).numpy()

    return epoch, predict


def jax_system(layers, batch_size, X, labels, n_threads):
    import jax

    inputs, targets = jax.numpy.asarray(X), jax.numpy.asarray(labels)
    n_steps = len(X) // batch_size

    def forward(parameters, a):
        for l, (w, b) in enumerate(zip(*parameters, strict=True)):
            z = a @ w + b
            a = jax.nn.relu(z) if l < len(layers) - 2 else z
        return a

    def loss_of(parameters, a, y):
        log_p = jax.nn.log_softmax(forward(parameters, a))
        return -log_p[jax.numpy.arange(batch_size), y].mean()

    def step(parameters, rows):
        gradients = jax.grad(loss_of)(parameters, inputs[rows], targets[rows])
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, gradients), None

    @jax.jit
    def whole_epoch(parameters, key):
        order = jax.random.permutation(key, len(X))[: n_steps * batch_size]
        return jax.lax.scan(step, parameters, order.reshape(n_steps, batch_size))[0]

    @jax.jit
    def labels_of(parameters, rows):
        return forward(parameters, rows).argmax(axis=1)

    state = {"parameters": jax.tree.map(jax.numpy.asarray, make_weights(layers)), "epoch": 0}

    def epoch():
        key = jax.random.key(state["epoch"])
        state["epoch"] += 1
        state["parameters"] = jax.block_until_ready(whole_epoch(state["parameters"], key))

    return epoch, lambda rows: np.asarray(labels_of(state["parameters"], rows))


SYSTEMS = {
    "fastmlp": fastmlp_system,
    "numpy": numpy_system,
    "sklearn": sklearn_system,
    "torch": torch_system,
    "jax": jax_system,
}
