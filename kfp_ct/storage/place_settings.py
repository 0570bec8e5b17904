"""A place of storage as a setting: checked when it is read, so that no run finds out after training."""

from typing import Annotated

from pydantic import AfterValidator, Field

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.base.settings import expected, misfit
from kfp_ct.storage import locations

_EXPECTED = "a path, file://, s3://bucket/path or gs://bucket/path"


def _usable(uri: str) -> str:
    try:
        locations.check(uri)
    except ConfigurationError:
        raise misfit(f"expected {_EXPECTED}") from None
    return uri


Place = Annotated[str, Field(min_length=1), AfterValidator(_usable), expected(_EXPECTED)]
