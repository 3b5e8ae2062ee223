"""The form of every error message about an argument."""

import json
import re

import pytest

from helpers.same_bits import file_of

#: "`batch_size` must be an int of at least 1, got 0.", and perhaps advice before the full stop.
FORM = re.compile(r"`[^`\n]+` must [^\n]+, got [^\n]+\.")


def assert_form(message, longest=300):
    """Check that a message is one sentence that names an argument, what it must be and what it is.

    Returns the message.
    """
    assert FORM.fullmatch(message), message
    assert len(message) <= longest, message
    return message


def assert_not_resumed(mlp, folder, error, message, *arguments, **options):
    """Check that a fit is refused with one sentence and changes nothing."""
    before, history = file_of(mlp), json.dumps(mlp.history_)
    with pytest.raises(error, match=message) as caught:
        mlp.fit(*arguments, **options)
    if error in (TypeError, ValueError):
        assert_form(str(caught.value), 400)
    assert file_of(mlp) == before and json.dumps(mlp.history_) == history
