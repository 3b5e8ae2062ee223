"""The form of every error message about an argument."""

import re

#: "`batch_size` must be an int of at least 1, got 0.", and perhaps advice before the full stop.
FORM = re.compile(r"`[^`\n]+` must [^\n]+, got [^\n]+\.")


def assert_form(message, longest=300):
    """Check that a message is one sentence that names an argument, what it must be and what it is.

    Returns the message.
    """
    assert FORM.fullmatch(message), message
    assert len(message) <= longest, message
    return message
