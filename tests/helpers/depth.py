"""What a property test tries: few and the same examples in `make test`; many, and others, in `make test-deep`."""

import os

# Set by `make test-deep`.
DEEP = "CT_TESTS_DEEP"


def deep() -> bool:
    """Says whether this is `make test-deep`."""
    return bool(os.environ.get(DEEP))


def tries(few: int, many: int) -> int:
    """Returns how many examples are tried; for tests of which one takes more than 20 ms of CPU."""
    return many if deep() else few
