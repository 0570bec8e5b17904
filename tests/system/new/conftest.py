"""The wheel, built once."""

import pytest

import installed_library


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    return installed_library.build_wheel(tmp_path_factory.mktemp("wheel"), "--wheel")
