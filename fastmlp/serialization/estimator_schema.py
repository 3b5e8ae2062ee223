"""The schema of the files of estimators, for reading and writing.

New fields must be added here. The values of parameters are checked when the estimator is created.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fastmlp.messages import must, shown
from fastmlp.serialization.npz_format import MAX_DEPTH
from fastmlp.serialization.schema import COUNT, DTYPE, KEY, descent, layers, moments, shapes_of
from fastmlp.validation import checks
from fastmlp.validation.forms import (
    anything,
    array,
    between,
    boolean,
    dict_of,
    each_of,
    fields,
    list_of,
    number,
    one_of,
    optional,
    record,
    text,
    whole,
)

#: The classes of `fastmlp.sklearn`, with the kinds of their outputs.
ESTIMATORS = {"MLPClassifier": ("softmax", "logistic"), "MLPRegressor": ("identity", "exp")}
#: Their ensembles, with the classes of the members.
ENSEMBLES = {f"MLPEnsemble{name.removeprefix('MLP')}": name for name in ESTIMATORS}
MOST = float(np.finfo(np.float64).max)
BINARY, MULTICLASS, MULTILABEL = "binary", "multiclass", "multilabel-indicator"

#: Attributes that fits of some solvers or options lack.
RECORDS: dict[str, checks.Checker] = {
    "n_iter_": COUNT,
    "t_": COUNT,
    "_no_improvement_count": COUNT,
    "loss_": number,
    "loss_curve_": list_of(number),
    "best_loss_": optional(number),
    "validation_scores_": optional(list_of(number)),
    "best_validation_score_": optional(number),
    "validation_loss_curve_": list_of(number),
    "history_": dict_of(list_of(number)),
}


def checked(state: Any) -> dict[str, Any]:
    """Validate the contents of a file; TypeError or ValueError if they are invalid."""
    if isinstance(state, dict) and state.get("class") in (*ENSEMBLES,):
        return _checked_ensemble(state)
    start = fields({"class": one_of(ESTIMATORS), "layers": layers, "dtype": DTYPE})("", state)
    kind, sizes, dtype = start["class"], start["layers"], np.dtype(start["dtype"])
    coefs = [array(shape, dtype) for shape in itertools.pairwise(sizes)]
    rule = state.get("solver") or {"rule": {"name": "sgd"}}
    checkers = {
        "class": one_of(ESTIMATORS),
        "layers": layers,
        "dtype": DTYPE,
        "parameters": dict_of(anything),
        "n_features": whole(1, checks.MAX_LAYER_SIZE),
        "feature_names": optional(_names),
        "coefs": each_of(coefs),
        "intercepts": each_of([array((n_out,), dtype) for n_out in sizes[1:]]),
        "out_activation": one_of(ESTIMATORS[kind]),
        "targets": _classes(sizes[-1]) if kind == "MLPClassifier" else optional(_scaling),
        "records": record(RECORDS, may_lack=RECORDS),
        "solver": optional(_solver),
        "moments": moments(rule.get("rule"), shapes_of(sizes), dtype),
        "descent": descent,
        "seen": COUNT,
        "key": KEY,
        "encoder": optional(_encoder(sizes[0])),
        "preset": optional(dict_of(anything)),
        "metadata": metadata,
    }
    found = record(checkers)("", state)
    _check_together(found)
    return found


def _checked_ensemble(state: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = record({
        "class": one_of(ENSEMBLES),
        "parameters": dict_of(anything),
        "estimator": optional(dict_of(anything)),
        "members": list_of(fields({"class": one_of((ENSEMBLES[state["class"]],))})),
        "metadata": metadata,
    })("", state)  # fmt: skip
    members = found["members"] = [checked(member) for member in state["members"]]
    if not members:
        raise ValueError(must("members", "be at least one", "none"))
    for name in ("n_features", "feature_names", "dtype", "targets"):
        first, *others = [_in_common(member, name) for member in members]
        if any(other != first for other in others):
            raise ValueError(must(f"members.{name}", "be the same of all", "different ones"))
    return found


def _in_common(member: dict[str, Any], name: str) -> Any:
    """Return what all members of an ensemble have, in a form that == compares."""
    if name != "targets":
        return member[name]
    targets, has_classes = member[name], member["class"] == "MLPClassifier"
    known = [member["layers"][-1], member["preset"] is None, member["out_activation"]]
    if has_classes:
        classes = targets["classes"]
        known += [targets["kind"], targets["sparse"], classes.dtype.str, classes.tolist()]
    return known


def _names(name: str, value: Any) -> list[str]:
    names: list[str] = list_of(text)(name, value)
    if len(set(names)) < len(names):
        raise ValueError(must(name, "have different names", "a name twice"))
    return names


def _check_together(found: dict[str, Any]) -> None:
    """Check what depends on several fields."""
    n_features, encoder, names = found["n_features"], found["encoder"], found["feature_names"]
    n_columns = found["layers"][0] if encoder is None else len(encoder["columns"])
    if n_columns != n_features:
        raise ValueError(must("n_features", f"be {n_columns}", f"{n_features}"))
    if names is not None and len(names) != n_features:
        raise ValueError(must("feature_names", f"have {n_features} names", f"{len(names)}"))
    if (found["preset"] is None) != (encoder is None):
        raise ValueError(must("preset", "be given exactly if `encoder` is", "another file"))
    targets, activation = found["targets"], found["out_activation"]
    if found["class"] == "MLPRegressor":
        if (targets is None) != (encoder is None):
            raise ValueError(must("targets", "be given exactly if `encoder` is", "another file"))
        shape = () if found["layers"][-1] == 1 else (found["layers"][-1],)
        for name, values in (targets or {}).items():
            array(shape, np.dtype(np.float64))(f"targets.{name}", values)
    elif (activation == "softmax") != (targets["kind"] == MULTICLASS):
        raise ValueError(must("out_activation", f"belong to {targets['kind']}", activation))


# Targets ----------------------------------------------------------------------------------------


def _classes(n_outputs: int) -> checks.Checker:
    """Return a checker of the classes of a network with this number of outputs."""
    plain = record({
        "kind": one_of((BINARY, MULTICLASS, MULTILABEL)),
        "classes": anything,
        "sparse": boolean,
    })  # fmt: skip

    def checker(name: str, value: Any) -> dict[str, Any]:
        found: dict[str, Any] = plain(name, value)
        classes, n = found["classes"], f"{name}.classes"
        if isinstance(classes, list):
            classes = np.array(list_of(text)(n, classes), object)
        if not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) == 0:
            raise ValueError(must(n, "be an array with one dimension", "another value"))
        if classes.dtype.kind not in "biufUO":
            raise ValueError(must(n, "be numbers, bools or text", f"{classes.dtype}"))
        if not (classes[:-1] < classes[1:]).all() or (classes[:1] != classes[:1]).any():  # NaN
            raise ValueError(must(n, "be sorted, without repetition", "others"))
        expected = {BINARY: n_outputs == 1 and len(classes) <= 2}
        if not expected.get(found["kind"], len(classes) == n_outputs):
            raise ValueError(must(n, f"fit {n_outputs} outputs", f"{len(classes)} classes"))
        return found | {"classes": classes}

    return checker


def _scaling(name: str, value: Any) -> dict[str, Any]:
    return record({"center": anything, "scale": _not_negative})(name, value)


def _not_negative(name: str, value: Any) -> Any:
    array(np.shape(value), np.dtype(np.float64), 0.0)(name, value)
    return value


# The solver -------------------------------------------------------------------------------------

_solver = record({
    "rule": dict_of(anything),
    "rate": checks.non_negative,
    "schedule": anything,
    "power": checks.non_negative,
    "learning_rate": checks.non_negative,
})  # fmt: skip


# Tables -----------------------------------------------------------------------------------------

NUMBER, BOOLEAN, CATEGORY, EMPTY = KINDS = ("number", "boolean", "category", "empty")
_column = record({
    "kind": one_of(KINDS),
    "centre": between(-MOST, MOST),
    "scale": checks.non_negative,
    "has_missing": boolean,
    "categories": list_of(anything),
    "n_harmonics": whole(0, checks.MAX_LAYER_SIZE),
})  # fmt: skip


def _encoder_parameters(name: str, value: Any) -> dict[str, Any]:
    fields({"dtype": DTYPE})(name, value)
    return dict_of(anything)(name, value)


def _encoder(n_outputs: int) -> checks.Checker:
    """Return a checker of an encoder with this number of outputs."""
    plain = record({"parameters": _encoder_parameters, "columns": list_of(_checked_column)})

    def checker(name: str, value: Any) -> dict[str, Any]:
        found: dict[str, Any] = plain(name, value)
        n_found = sum(_n_outputs(column) for column in found["columns"])
        if n_found != n_outputs:
            requirement = f"have {n_outputs} outputs, as the network has inputs"
            raise ValueError(must(name, requirement, f"{n_found}"))
        return found

    return checker


def _checked_column(name: str, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = _column(name, value)
    kind, categories = found["kind"], found["categories"]
    if kind == BOOLEAN and repr(categories[:3]) != "[False, True]":  # not [0, 1]
        raise ValueError(must(f"{name}.categories", "be [False, True]", shown(categories[:3])))
    if kind in (NUMBER, EMPTY) and categories:
        raise ValueError(must(f"{name}.categories", "be empty", shown(categories[:3])))
    if kind == CATEGORY:
        family = text if categories and isinstance(categories[0], str) else number
        categories = list_of(family)(f"{name}.categories", categories)
        if len(set(categories)) < len(categories) or any(each != each for each in categories):
            raise ValueError(must(f"{name}.categories", "be different", "one twice, or NaN"))
    return found


def _n_outputs(column: dict[str, Any]) -> int:
    if column["kind"] == NUMBER:
        return 1 + column["has_missing"] + 2 * column["n_harmonics"]
    return 1 if len(column["categories"]) == 2 else len(column["categories"])


# Metadata ---------------------------------------------------------------------------------------


def metadata(name: str, value: Any) -> dict[str, Any]:
    """Return a dict of plain values: numbers, text, True, False, None, and lists and dicts."""
    dict_of(anything)(name, value)
    found: dict[str, Any] = _plain(name, value, 1)
    return found


def _plain(name: str, value: Any, level: int) -> Any:
    """Return a plain value at a level of the file."""
    if isinstance(value, (dict, list)) and level == MAX_DEPTH:
        requirement = f"have at most {MAX_DEPTH} levels of lists and dicts"
        raise ValueError(must(name[: name.find(".")], requirement, "more levels"))
    if isinstance(value, dict):
        items = dict_of(anything)(name, value).items()
        return {key: _plain(f"{name}.{key}", part, level + 1) for key, part in items}
    if isinstance(value, list):
        return [_plain(f"{name}[{i}]", part, level + 1) for i, part in enumerate(value)]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    requirement = "be a number, text, True, False, None, or a list or dict of them"
    raise TypeError(must(name, requirement, f"a value of type {type(value).__name__}"))
