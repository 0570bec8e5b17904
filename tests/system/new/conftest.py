"""The wheel, built once."""

import pytest

import installed_library
from made_once import made_once


@pytest.fixture(scope="session")
def wheel(shared):
    """Several files install it, in several processes."""
    folder = made_once(shared, "wheel", lambda folder: installed_library.build_wheel(folder, "--wheel"))
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel
