"""Which benchmarks guard which part of the kernels: what `selftest.py` slows down."""

from fnmatch import fnmatchcase
from typing import NamedTuple


class Guard(NamedTuple):
    """A part of the package, and the benchmarks that call it most directly."""

    path: str  # of the module
    function: str  # is slowed down
    when: str  # an expression of its arguments: in which calls; empty for all
    benchmarks: tuple[str, ...]  # patterns, see `guarding`


def guarding(patterns, titles):
    """Return the titles that match a pattern such as ``Products(forward, *)``.

    It has the class, perhaps a method, and the parameters.
    """
    found = []
    for title in titles:
        _, kind, rest = title.split(".", 2)
        method, _, params = rest.partition("(")
        names = f"{kind}({params}", f"{kind}.{method}({params}"
        if any(fnmatchcase(name, pattern) for name in names for pattern in patterns):
            found.append(title)
    return found


def equation(module, function, *benchmarks, when=""):
    """A kernel of `core/equations`, in all calls or in some."""
    return Guard(f"core/equations/{module}.py", function, when, benchmarks)


def reading(module, function, *benchmarks, when=""):
    """A kernel of `core/inputs`."""
    return Guard(f"core/inputs/{module}.py", function, when, benchmarks)


def finish(code, *benchmarks, more=""):
    """What becomes of the sums of a product."""
    return equation("product", "multiply", *benchmarks, when=f"product.finish == {code}{more}")


def activation(code):
    """The loop of an activation."""
    when = f"layer.activation == {code} and layer.dropout == 0"
    return equation("forward", "activate_rows", f"Branch(activate {code.lower()})", when=when)


def loss(when, *names):
    """The derivative of a loss."""
    return equation("losses", "output_delta", *(f"Branch(loss {n})" for n in names), when=when)


def rule(code):
    """An update rule."""
    when = f"rule.kind == {code} and rule.l2 == 0 and rule.l1 == 0"
    return equation("update_rules", "change_rows", f"Branch(rule {code.lower()})", when=when)


def penalty(name, when):
    """A penalty."""
    return equation("update_rules", "change_rows", f"Branch(rule {name})", when=when)


def gathered(when, benchmark):
    """The copying of rows of X, by their type."""
    return reading("gather", "gather", benchmark, when=when)


ACTIVATIONS = "identity relu leaky_relu elu sigmoid tanh softplus gelu silu".upper().split()
RULES = "sgd momentum nesterov rmsprop adagrad adam adamw".upper().split()
#: These are slowed down by a tenth. `_kind` and the like are in `selftest.WAITING`.
KERNELS = {
    "forward": equation("forward", "forward", "Products(forward, *)", "Branch(forward relu)"),
    "propagate": equation(
        "propagate", "propagate", "Products(propagate, *)", "Branch(propagate *)"
    ),
    "update": equation("update", "update", "Products(update, *)", "Branch(update *)"),
    "STORE": finish(
        *("STORE", "Products(forward, *)", "Branch(propagate identity)", "Branch(update stored)")
    ),
    "STORE_RELU": finish("STORE_RELU", "Branch(forward relu)"),
    "GATE": finish("GATE", "Products(propagate, *)"),
    "MULTIPLY": finish("MULTIPLY", "Branch(propagate tanh)"),
    "DESCEND": finish("DESCEND", "Products(update, *)", more=" and product.decay == 0"),
    "DESCEND with decay": finish("DESCEND", "Branch(update l2)", more=" and product.decay != 0"),
    **{code: activation(code) for code in ACTIVATIONS},
    "dropout": equation("forward", "activate_rows", "Branch(dropout)", when="layer.dropout > 0"),
    "input noise": Guard("core/rows_phase.py", "add_input_noise", "", ("Branch(input noise)",)),
    "output_delta": equation(
        *("losses", "output_delta", "RowByRow(output_delta, *)"), "Branch(loss *)"
    ),
    "no options": loss("_kind(samples.loss) == -1", "basic"),
    "SOFTMAX": equation(
        *("losses", "output_delta", "RowByRow(output_delta, *)"),
        *(f"Branch(loss {name})" for name in ("relu", "weights", "smoothing", "values")),
        when="_kind(samples.loss) == SOFTMAX",
    ),  # fmt: skip
    "label smoothing": loss("_parameter(samples.loss) == 0.1", "smoothing"),
    "soft labels": loss(
        "_kind(samples.loss) == SOFTMAX and len(samples.targets.values) > 0", "values"
    ),
    "LOGISTIC": loss("_kind(samples.loss) == LOGISTIC", "logistic"),
    "POISSON": loss("_kind(samples.loss) == POISSON", "poisson"),
    "SQUARED": loss("_kind(samples.loss) == SQUARED", "squared_error"),
    "ABSOLUTE": loss("_kind(samples.loss) == ABSOLUTE", "absolute_error"),
    "HUBER": loss("_kind(samples.loss) == HUBER", "huber"),
    "PINBALL": loss("_kind(samples.loss) == PINBALL", "pinball"),
    "sample weights": loss("len(samples.targets.weights) > 0", "weights"),
    "relu before softmax": loss("layer.activation == RELU", "relu"),
    **{code: rule(code) for code in RULES},
    "l2": penalty("l2", "rule.l2 != 0 and rule.kind != ADAMW"),
    "l1": penalty("l1", "rule.l1 != 0"),
    "l2 of AdamW": penalty("decoupled l2", "rule.l2 != 0 and rule.kind == ADAMW"),
    "square_gradients": equation("clip", "square_gradients", "Branch(square_gradients)"),
    "change_by_collected": equation("clip", "change_by_collected", "Branch(change_by_collected)"),
    "constrain_norms": equation("norms", "constrain_norms", "Branch(constrain_norms)"),
    "gather": gathered("_itemsize(X) > 2 and len(scaling) == 0", "RowByRow(gather, *)"),
    "X of uint8 or bool": gathered("_itemsize(X) == 1", "Branch(gather uint8)"),
    "X of float16": gathered("_itemsize(X) == 2", "Branch(gather float16)"),
    "scaling": gathered("len(scaling) > 0", "Branch(gather scaled)"),
    "list_inputs": reading("nonzeros", "list_inputs", "RowByRow(list_inputs, *)"),
    "mark_inputs": reading("nonzeros", "mark_inputs", "RowByRow(mark_inputs, *)"),
    "list_sparse": reading("sparse", "list_sparse", "Branch(list_sparse)"),
    "forward_listed": equation("forward", "forward_listed", "RowByRow(forward_listed, *)"),
    "update_marked": equation("update", "update_marked", "RowByRow(update_marked, *)"),
    "update_sample": equation("update", "update_sample", "RowByRow(update_sample, *)"),
    "update_biases": equation("update", "update_biases", "RowByRow(update_biases, *)"),
    "update_sparse": equation(
        "update_sparse", "update_sparse", "Branch(update_sparse)", when="sink.descends"
    ),
    "update_sparse stored": equation(
        "update_sparse", "update_sparse", "Branch(update_sparse stored)", when="not sink.descends"
    ),
    "exp": Guard("core/maths/functions.py", "exp", "", ("RowByRow(exp, *)",)),
}
#: These are slowed down by a fifth.
METHODS = {
    "fit": Guard("neural_net.py", "fit", "", ("Call(1)",)),
    "predict_proba": Guard(
        "neural_net.py", "predict_proba", "", ("Predict.time_predict_proba(1, *)",)
    ),
}
#: What is guarded as a whole: no single kernel does it.
CALLS = {
    "minibatches of one row": ("Epoch(*, 1)", "EpochByInput(*, 1)", "DropIn(*)"),
    "minibatches of 2 to 7 rows, the last one smaller": ("EpochOfFewRows(*)",),
    "minibatches that fill tiles": ("Epoch(*, 32)", "Epoch(*, 128)"),
    "two workers and their barriers": ("EpochByThreads(*)",),
    "float64": ("EpochByDtype(*)",),
    "nearly all inputs zero; none": ("EpochByDensity(*)",),
    "X of another type; sparse X": ("EpochByInput(*)",),
    "steps with options": ("EpochByOption(*)",),
    "a call of fit, of partial_fit": ("Call(*)", "PartialFit(*)"),
    "predictions of one row, of ten, of many": ("Predict(*)",),
    "save and load": ("ModelFile(*)",),
}


def table():
    """Return the tables of README.md."""
    lines = ["| part | slowed down: function, and in which calls | guarded by |", "|---|---|---|"]
    for name, (path, function, when, benchmarks) in (KERNELS | METHODS).items():
        where = f"`{function}`" + (f" if `{when}`" if when else "") + f", {path}"
        lines.append(f"| {name} | {where} | {listed(benchmarks)} |")
    lines += ["", "| as a whole | guarded by |", "|---|---|"]
    lines += [f"| {name} | {listed(benchmarks)} |" for name, benchmarks in CALLS.items()]
    return "\n".join(lines)


def listed(patterns):
    """Return the patterns as Markdown."""
    return ", ".join(f"`{pattern}`" for pattern in patterns)


if __name__ == "__main__":
    print(table())
