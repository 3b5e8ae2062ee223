"""What all tests of `fastmlp.dask` have in common."""

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if (
            "tests/many_machines" in item.path.as_posix()
        ):  # their rounds are short, and that is known
            item.add_marker(
                pytest.mark.filterwarnings("ignore::fastmlp.dask.ShortRoundsWarning"), append=False
            )
