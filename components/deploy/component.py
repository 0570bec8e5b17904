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
    keep_versions: int = 3,
) -> None:
    """Publishes a blessed model to the prediction service's folder, in TF Serving's layout.

    Args:
        model: SavedModel under Format-Serving/.
        blessing: The verdict on this model; anything but a yes is refused.
        infra_validation: summary.json with a request that the service answered; kept beside the served model.
        deployment: summary.json: what is served from where, and what was before.
        serving_root: Folder, s3:// or gs:// that the prediction service watches; the model appears at
            <root>/<name>/<version>.
        model_name: Name the service answers to.
        version: Version from the registry.
        keep_versions: Versions kept, this one included, so that a rollback has somewhere to go.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.deploy import work
    from kfp_ct.models import serving_folder

    with reported():
        release = serving_folder.Release(model.path, blessing.path, model_name, version, infra_validation.path)
        deployment.metadata.update(work.deploy(release, serving_root, keep_versions, deployment.path))
