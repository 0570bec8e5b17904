"""KFP interface of the register component."""

from typing import NamedTuple

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def register(
    statistics: dsl.Input[dsl.Artifact],
    model: dsl.Input[dsl.Model],
    blessing: dsl.Input[dsl.Artifact],
    evaluation: dsl.Input[dsl.Artifact],
    registry_uri: str,
    model_name: str,
    training_key: str,
    lineage: dict = {},
    make_champion: bool = True,
    run_id: str = "",
    run_resource: str = "",
) -> NamedTuple("Outputs", [("version", str), ("previous_champion", str)]):
    """Registers a blessed model in MLflow and moves the alias champion to it, or leaves that to deploy.

    Args:
        statistics: FeatureStats.pb per split of the data the model was trained on; kept with the version, so that
            later data can be compared with it.
        model: SavedModel under Format-Serving/, with Training/ as train leaves it.
        blessing: The verdict on this model; anything but a yes is refused.
        evaluation: summary.json; its metrics are recorded with the version, and it is kept with it.
        registry_uri: MLflow tracking URI: sqlite:///path, or http(s)://server.
        model_name: Registered model; created if absent.
        training_key: Identity of the training, from resolve_champion.
        lineage: Commit, image, parameters and cause of the run; recorded as tags.
        make_champion: Whether the alias moves here; False where deploy moves it once the model is served.
        run_id: The run, as the service names it; recorded where lineage names none.
        run_resource: The run's workflow (KFP) or resource name (Vertex AI); recorded with run_id.

    Returns:
        version: Version of the registered model; the same one if it was registered before.
        previous_champion: Version the alias pointed at before; empty if there was none.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.register import work

    with reported():
        known = work.with_run(lineage, run_id, run_resource)
        candidate = work.Candidate(model.path, blessing.path, statistics.path, evaluation.path, training_key, known)
        registered = work.register(candidate, registry_uri, model_name, make_champion)
        return (registered.version, registered.previous_champion)
