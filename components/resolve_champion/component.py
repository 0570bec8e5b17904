"""KFP interface of the resolve_champion component."""

from typing import NamedTuple

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def resolve_champion(
    examples: dsl.Input[dsl.Dataset],
    champion: dsl.Output[dsl.Model],
    base_model: dsl.Output[dsl.Model],
    registry_uri: str,
    model_name: str,
    hyperparameters: dict = {},
    tuning: dict = {},
    code_version: str = "",
    warm_start: bool = False,
) -> NamedTuple("Outputs", [("version", str), ("training_key", str)]):
    """Finds the model to beat: the champion, or its predecessor if this very training produced the champion.

    Args:
        examples: Dataset with a manifest; its fingerprint is part of the training key.
        champion: The registered model to compare with; a folder without a SavedModel if there is none.
        base_model: The model to start training from: the champion if warm_start, else none.
        registry_uri: MLflow tracking URI: sqlite:///path, or http(s)://server.
        model_name: Registered model.
        hyperparameters: Passed to training; part of the training key.
        tuning: How hyperparameters are searched for; part of the training key.
        code_version: Hash of what the steps from the examples to the model are made of; part of the training key.
        warm_start: Start training from the champion's weights.

    Returns:
        version: Version of the model to compare with; empty if there is none.
        training_key: Identity of this training, recorded at registration.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.resolve_champion import work

    with reported():
        key = work.training_key(examples.path, hyperparameters, code_version, tuning)
        found = work.resolve(registry_uri, model_name, key)
        champion.metadata["version"] = found.version
        champion.uri = work.materialize(found, champion.uri, champion.path)
        base_model.uri = work.materialize(found if warm_start else found.no_model, base_model.uri, base_model.path)
        return (found.version, key)
