"""How many examples a property test tries: few in `make test`, as many as ever in `make test-deep`."""

import os

# Set by `make test-deep`.
DEEP = "CT_TESTS_DEEP"


def tries(few: int, many: int) -> int:
    """Returns how many examples are tried; for tests of which one takes more than 20 ms of CPU."""
    return many if os.environ.get(DEEP) else few
