"""Random states: sources of random numbers, their positions, and saving them.

NumPy does not validate states: with a position beyond the end of the state's array, it reads
invalid memory. So every number of a state from a file is validated here first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastmlp.messages import must, shown
from fastmlp.validation import checks
from fastmlp.validation.forms import (
    anything,
    array,
    between,
    fields,
    list_of,
    one_of,
    record,
    whole,
)

BIT_GENERATORS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        np.random.MT19937,
        np.random.PCG64,
        np.random.PCG64DXSM,
        np.random.Philox,
        np.random.SFC64,
    )
}


def random_source(random_state: Any) -> Any:
    """Return the module numpy.random for None, a new RandomState for an int, or the argument."""
    if random_state is None:
        return np.random
    if isinstance(random_state, (np.random.RandomState, np.random.Generator)):
        return random_state
    try:
        seed = checks.whole_number("random_state", random_state, 0, 2**32 - 1)
    except TypeError:
        requirement = (
            "be None, an int of at least 0, a numpy.random.RandomState or a numpy.random.Generator"
        )
        raise TypeError(must("random_state", requirement, shown(random_state))) from None
    return np.random.RandomState(seed)


def random_kind(source: Any) -> str:
    """Return the class and bit generator of a source, which its positions are valid for."""
    return f"{_class_of(source)} of {random_position(source)['bit_generator']}"


def is_global(source: Any) -> bool:
    """Whether a source is NumPy's global one, which all threads and libraries draw from."""
    if source is np.random:
        return True
    return (
        isinstance(source, np.random.RandomState)
        and source._bit_generator is np.random.get_bit_generator()  # type: ignore[attr-defined]
    )


def random_key(source: Any) -> int:
    """Draw a signed integer of 64 bits."""
    return int.from_bytes(source.bytes(8), "little", signed=True)


def random_position(source: Any) -> Any:
    """Return the position of a source in its sequence."""
    if isinstance(source, np.random.Generator):
        return source.bit_generator.state
    return source.get_state(legacy=False)


def return_to_position(source: Any, position: Any) -> None:
    """Restore a position of `random_position`."""
    if isinstance(source, np.random.Generator):
        source.bit_generator.state = position
    else:
        source.set_state(position)


def is_at(source: Any, position: Any) -> bool:
    """Whether a source is at a position of `random_position`."""
    return bool(_plain(random_position(source)) == _plain(position))


def lock_of(source: np.random.RandomState) -> Any:
    """Return the lock that keeps other threads from drawing.

    Before NumPy 2 also this one: positions can be compared and restored with it, but not drawn.
    """
    return source._bit_generator.lock


def _class_of(source: Any) -> str:
    return "Generator" if isinstance(source, np.random.Generator) else "RandomState"


def copy_of(source: Any) -> dict[str, Any]:
    """Return what `from_dict` makes an equal source of, with arrays; see `to_dict` for files."""
    return {"kind": _class_of(source), "state": random_position(source)}


# As plain values ----------------------------------------------------------------------------------


def to_dict(source: Any) -> dict[str, Any] | None:
    """Convert a RandomState or Generator to plain values; None stays None."""
    if source is None:
        return None
    kind, state = _class_of(source), random_position(source)
    if state["bit_generator"] not in BIT_GENERATORS:
        requirement = f"be a {kind} of {', '.join(BIT_GENERATORS)} to be saved"
        raise TypeError(must("random_state", requirement, f"one of {state['bit_generator']}"))
    return {"kind": kind, "state": _plain(state)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.name}
    return value.item() if isinstance(value, np.generic) else value


def from_dict(state: Mapping[str, Any] | None) -> Any:
    """Return the RandomState or Generator for a dict of `to_dict`, after `checked_source`."""
    if state is None:
        return None
    bit_generator = BIT_GENERATORS[state["state"]["bit_generator"]](0)
    if state["kind"] == "Generator":
        bit_generator.state = state["state"]
        return np.random.Generator(bit_generator)
    source = np.random.RandomState(bit_generator)
    source.set_state(state["state"])
    return source


# What a file may hold -----------------------------------------------------------------------------


def _words(n: int, bits: int) -> checks.Checker:
    """Return a checker of `n` unsigned integers, as an array or as a dict of `_plain`."""
    dtype = np.dtype(f"uint{bits}")
    listed = record({
        "array": list_of(whole(0, 2**bits - 1), n),
        "dtype": one_of((dtype.name,)),
    })  # fmt: skip
    stored = array((n,), dtype)

    def checker(name: str, value: Any) -> np.ndarray:
        if isinstance(value, dict):
            value = np.array(listed(name, value)["array"], dtype)
        return stored(name, value)

    return checker


def _twister_key(name: str, value: Any) -> np.ndarray:
    """Return 624 words that are not all 0; with such a key, drawing normals would never end."""
    words = _words(624, 32)(name, value)
    if not words[1:].any():
        raise ValueError(must(name, "have a word that is not 0", "only zeros"))
    return words


def _odd(name: str, value: Any) -> int:
    number = whole(1, 2**128 - 1)(name, value)
    if number % 2 == 0:
        raise ValueError(must(name, "be odd", f"{number}"))
    return number


_BIT, _WORD = whole(0, 1), whole(0, 2**32 - 1)
#: The unused half of 64 bits.
_HALF: dict[str, checks.Checker] = {"has_uint32": _BIT, "uinteger": _WORD}
_PCG = {"state": record({"state": whole(0, 2**128 - 1), "inc": _odd})} | _HALF
_PHILOX = {
    "state": record({"counter": _words(4, 64), "key": _words(2, 64)}),
    "buffer": _words(4, 64),
    "buffer_pos": whole(0, 4),
}

#: The fields of the state of each bit generator, besides its name.
STATES: dict[str, dict[str, checks.Checker]] = {
    "MT19937": {"state": record({"key": _twister_key, "pos": whole(0, 624)})},
    "PCG64": _PCG,
    "PCG64DXSM": _PCG,
    "Philox": _PHILOX | _HALF,
    "SFC64": {"state": record({"state": _words(4, 64)})} | _HALF,
}
#: For a RandomState also the second of a pair of normal numbers, at most sqrt(208 log 2) = 12.01.
_LEGACY = {"has_gauss": _BIT, "gauss": between(-13, 13)}
_KINDS = ("Generator", "RandomState")


def checked_source(name: str, value: Any) -> dict[str, Any] | None:
    """Validate a dict of `to_dict`, and convert its lists to arrays."""
    if value is None:
        return None
    found = record({"kind": one_of(_KINDS), "state": anything})(name, value)
    return found | {"state": checked_position(f"{name}.state", found["state"], found["kind"])}


def checked_position(name: str, value: Any, kind: str) -> dict[str, Any]:
    """Validate a position of `random_position`; TypeError or ValueError if it is invalid.

    `kind` is the class whose position it is: "Generator" or "RandomState".
    """
    found = fields({"bit_generator": one_of(STATES)})(name, value)
    legacy = _LEGACY if kind == "RandomState" else {}
    checkers = STATES[found["bit_generator"]] | legacy
    return record({"bit_generator": anything} | checkers)(name, value)
