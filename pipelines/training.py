"""The continuous-training pipeline: the DAG and nothing else."""

from kfp import dsl

from kfp_ct.components.deploy.component import deploy
from kfp_ct.components.evaluate.component import evaluate
from kfp_ct.components.ingest.component import ingest
from kfp_ct.components.register.component import register
from kfp_ct.components.resolve_champion.component import resolve_champion
from kfp_ct.components.resolve_sources.component import resolve_sources
from kfp_ct.components.schema.component import schema
from kfp_ct.components.statistics.component import statistics
from kfp_ct.components.train.component import train
from kfp_ct.components.transform.component import transform
from kfp_ct.components.tune.component import tune
from kfp_ct.components.validate_data.component import validate_data
from kfp_ct.components.validate_infra.component import validate_infra


@dsl.pipeline(name="training", description="Data to a blessed, served model; nothing unblessed is deployed.")
def training(
    sources: dict,
    query: str,
    split: dict,
    features_module: str,
    model_module: str,
    eval_config: str,
    model_name: str,
    registry_uri: str,
    serving_root: str,
    window_start: str = "",
    window_end: str = "",
    max_bad_fraction: float = 0.02,
    data_version: str = "",
    ingest_options: dict = {},  # noqa: B006 - kfp copies defaults into the package
    code_version: str = "",
    schema_file: str = "",
    label: str = "",
    deny: list = [],  # noqa: B006
    severities: dict = {},  # noqa: B006
    hyperparameters: dict = {},  # noqa: B006
    tuning: dict = {},  # noqa: B006
    gates: dict = {},  # noqa: B006
    infra: dict = {},  # noqa: B006
    serving: dict = {},  # noqa: B006
    lineage: dict = {},  # noqa: B006
    checkpoints: str = "",
    distribution: str = "",
    warm_start: bool = False,
    warm_up_rows: int = 32,
    warm_up_log: str = "",
    materialize: bool = False,
    transform_options: dict = {},  # noqa: B006
    materialize_format: str = "parquet",
    beam_pipeline_args: list = [],  # noqa: B006
) -> None:
    """Wires the components; every argument is documented by the component that takes it."""
    # The sources change between runs: they are looked at every time, and read only where they changed.
    version = resolve_sources(
        sources=sources,
        window_start=window_start,
        window_end=window_end,
        options=ingest_options,
        data_version=data_version,
    ).set_caching_options(False)
    data = ingest(
        sources=sources,
        query=query,
        split=split,
        window_start=window_start,
        window_end=window_end,
        max_bad_fraction=max_bad_fraction,
        data_version=version.output,
        options=ingest_options,
    )
    stats = statistics(examples=data.outputs["examples"], beam_pipeline_args=beam_pipeline_args)
    contract = schema(statistics=stats.outputs["statistics"], schema_file=schema_file)
    # The registry changes between runs: asking it is never answered from a cache.
    champion = resolve_champion(
        examples=data.outputs["examples"],
        registry_uri=registry_uri,
        model_name=model_name,
        hyperparameters=hyperparameters,
        tuning=tuning,
        code_version=code_version,
        warm_start=warm_start,
    ).set_caching_options(False)
    validated = validate_data(
        statistics=stats.outputs["statistics"],
        schema=contract.outputs["schema"],
        champion=champion.outputs["champion"],
        label=label,
        deny=deny,
        severities=severities,
    )
    features = transform(
        examples=data.outputs["examples"],
        schema=contract.outputs["schema"],
        module=features_module,
        materialize=materialize,
        options=transform_options,
        materialize_format=materialize_format,
        beam_pipeline_args=beam_pipeline_args,
    ).after(validated)
    tuned = tune(
        examples=data.outputs["examples"],
        transform_graph=features.outputs["transform_graph"],
        schema=contract.outputs["schema"],
        module=model_module,
        hyperparameters=hyperparameters,
        tuning=tuning,
        checkpoints=checkpoints,
    )
    trained = train(
        examples=data.outputs["examples"],
        transform_graph=features.outputs["transform_graph"],
        transformed_examples=features.outputs["transformed_examples"],
        schema=contract.outputs["schema"],
        base_model=champion.outputs["base_model"],
        module=model_module,
        hyperparameters=tuned.outputs["hyperparameters"],
        checkpoints=checkpoints,
        distribution=distribution,
        warm_up_rows=warm_up_rows,
        warm_up_log=warm_up_log,
    )
    verdict = evaluate(
        examples=data.outputs["examples"],
        schema=contract.outputs["schema"],
        model=trained.outputs["model"],
        champion=champion.outputs["champion"],
        eval_config=eval_config,
        gates=gates,
        beam_pipeline_args=beam_pipeline_args,
    )
    # evaluate's only parameter, so that kfp.local resolves it: of several it finds none and skips the branch.
    with dsl.If(verdict.outputs["Output"] == True, name="blessed"):  # noqa: E712 - kfp builds a condition from it
        served = validate_infra(
            examples=data.outputs["examples"],
            model=trained.outputs["model"],
            champion=champion.outputs["champion"],
            evaluated=verdict.outputs["blessing"],
            infra=infra,
        )
        with dsl.If(served.outputs["Output"] == True, name="fit-to-serve"):  # noqa: E712
            registered = register(
                statistics=stats.outputs["statistics"],
                model=trained.outputs["model"],
                blessing=served.outputs["blessing"],
                evaluation=verdict.outputs["evaluation"],
                registry_uri=registry_uri,
                model_name=model_name,
                training_key=champion.outputs["training_key"],
                lineage=lineage,
                make_champion=False,  # deploy does, once it is served
                run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
                run_resource=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
            ).set_caching_options(False)
            deploy(
                model=trained.outputs["model"],
                blessing=served.outputs["blessing"],
                infra_validation=served.outputs["infra_validation"],
                serving_root=serving_root,
                model_name=model_name,
                version=registered.outputs["version"],
                registry_uri=registry_uri,
                serving=serving,
            ).set_caching_options(False)
