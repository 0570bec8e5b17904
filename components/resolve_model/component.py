"""KFP interface of the resolve_model component."""

from typing import NamedTuple

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def resolve_model(
    model: dsl.Output[dsl.Model],
    registry_uri: str,
    model_name: str,
    version: str = "champion",
) -> NamedTuple("Outputs", [("version", str)]):
    """Finds a registered model to use: the champion, or a version by number.

    Args:
        model: The registered model: Format-Serving/, Training/ and Registered/, as register wrote them.
        registry_uri: MLflow tracking URI: sqlite:///path, or http(s)://server.
        model_name: Registered model.
        version: "champion", or the number of a version.

    Returns:
        version: The version's number.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.resolve_model import work

    with reported():
        found = work.resolve(registry_uri, model_name, version)
        model.metadata.update({"version": found.version, "registered": found.registered})
        model.uri = work.materialize(found, model.uri, model.path)
        return (found.version,)
