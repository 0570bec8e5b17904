"""KFP interface of the deploy component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def deploy(
    model: dsl.Input[dsl.Model],
    blessing: dsl.Input[dsl.Artifact],
    infra_validation: dsl.Input[dsl.Artifact],
    deployment: dsl.Output[dsl.Artifact],
    serving_root: str,
    model_name: str,
    version: str,
    registry_uri: str = "",
    serving: dict = {},
    keep_versions: int = 3,
) -> None:
    """Has a blessed model served (folder, cluster or Vertex AI), and makes it the champion once it answers.

    Args:
        model: SavedModel under Format-Serving/.
        blessing: The verdict on this model; anything but a yes is refused.
        infra_validation: summary.json with a request that the service answered; kept beside the served model.
        deployment: summary.json: what is served from where, and what was before.
        serving_root: Where models are published: <root>/<name>/<version> in the folder that a service watches,
            <root>/releases/<name>-v<version>/<name>/<version> for a cluster's targets and Vertex AI.
        model_name: Name the service answers to.
        version: Version from the registry.
        registry_uri: Registry whose alias champion moves to the version when it is served; empty for none.
        serving: target (folder, kubernetes, kserve, vertex), the section vertex; for those of a cluster namespace and
            name; timeout_seconds, poll_seconds, canary_percent, canary_seconds. A rollout that does not become ready
            in time is undone. With approve, the version waits until `ct approve` says its word.
        keep_versions: Versions kept in a folder, this one included, so that a rollback has somewhere to go.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.deploy import work
    from kfp_ct.models import serving_folder

    with reported():
        release = serving_folder.Release(model.path, blessing.path, model_name, version, infra_validation.path)
        destination = work.Destination(serving_root, serving, registry_uri)
        deployment.metadata.update(work.deploy(release, destination, keep_versions, deployment.path))
