"""A service's spec of a package: the pipeline's document, or it beside its platform's; and back."""

import pytest

from kfp_ct.package import package


@pytest.mark.parametrize(
    ("found", "spec"),
    [
        pytest.param({"root": {}}, {"root": {}}, id="plain"),
        pytest.param(
            {"root": {}, "platforms": {"kubernetes": {"a": 1}}},
            {"pipeline_spec": {"root": {}}, "platform_spec": {"platforms": {"kubernetes": {"a": 1}}}},
            id="platform",
        ),
    ],
)
def test_a_spec_is_what_a_backend_answers(found, spec):
    assert package.as_spec(found) == spec
    assert package.of_spec(spec) == found
