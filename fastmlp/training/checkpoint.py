"""Resume a fit from a checkpoint."""

from __future__ import annotations

from typing import Any

from fastmlp.messages import must, short, shown
from fastmlp.serialization import model_files, schema
from fastmlp.settings import ARGUMENTS, settings_that
from fastmlp.training.state import State
from fastmlp.training.state_dict import argument, kinds, plain_arguments


def read(path: Any, state: State, same: dict[str, Any], part: str = "fit") -> dict[str, Any]:
    """Return the checkpoint: the network as "model", and the state of `Fit`.

    Parameters
    ----------
    path : str
    state : State
        Read.
    same : dict
        What must be equal in addition to the arguments that define the training.
    part : {"fit", "rounds"}, default "fit"
        The kind of training that must have written it: `MLP.fit` or `fastmlp.dask.fit`.

    Raises
    ------
    FileNotFoundError
    ValueError
        For other files, and for checkpoints of fits with other data or arguments.
    """
    model = model_files.read(path)
    if part not in model:
        of = "a fit" if part == "fit" else "fastmlp.dask.fit"
        raise model_files.not_a_network(path, wanted=f"a checkpoint of {of}")
    fit = model[part]
    wanted = {"class": state.class_name} | plain_arguments(state) | same
    arguments = schema.ADDED | model["arguments"]
    found = {"class": model["class"]} | arguments | {name: fit[name] for name in same}
    defining = _arguments_that("defines", state)
    for name in wanted:
        relevant = name in defining or name == "class" or name in same
        if relevant and found.get(name) != wanted[name]:
            requirement = f"be a checkpoint with this fit's {name}, {shown(wanted[name])}"
            got = f"{shown(found.get(name))} in {short(repr(str(path)), 100)}"
            raise ValueError(must("resume", requirement, got))
    return fit | {"model": model}


def assignable(state: State) -> dict[str, Any]:
    """Return the arguments that are read in each step, as in a file.

    A learning rate that is a custom function is left out: files contain only its next value.
    """
    rate = state.settings.learning_rate
    has_value = not callable(rate) or type(rate) in kinds("learning_rate").values()
    names = _arguments_that("trains", state) - (set() if has_value else {"learning_rate"})
    return {name: value for name, value in plain_arguments(state).items() if name in names}


def _arguments_that(use: str, state: State) -> set[str]:
    """Return the arguments of the class whose settings have a `settings.Use`."""
    names, chosen = ARGUMENTS[state.class_name].names, settings_that(use)
    return {name for name, setting in names.items() if setting in chosen}


def assign(state: State, began_with: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Assign the settings that callbacks had assigned when the checkpoint was written.

    A setting that this fit was given a new value for, other than the one that the fit of the
    checkpoint `began_with`, keeps it. ValueError if the file has an invalid setting.
    """
    kind = ARGUMENTS[state.class_name]
    try:
        state.change(
            **{
                kind.names[name]: kind.checked(name, argument(name, arguments[name]))
                for name, value in assignable(state).items()
                if name in began_with and began_with[name] == value != arguments[name]
            }
        )
    except Exception as error:
        got = f"one with an invalid setting ({short(str(error).rstrip('.'), 120)})"
        raise ValueError(must("resume", "be a checkpoint written by fastmlp", got)) from None
