"""KFP interface of the schema component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def schema(
    statistics: dsl.Input[dsl.Artifact],
    schema: dsl.Output[dsl.Artifact],
    schema_file: str = "",
) -> None:
    """Takes the curated schema, and says how the data differs from it; or infers one from the statistics.

    Args:
        statistics: FeatureStats.pb per split.
        schema: schema.pbtxt (TensorFlow Metadata's text format), and summary.json; beside a curated schema,
            inferred.pbtxt, what the statistics say, and the differences in summary.json.
        schema_file: Curated schema of the repository; empty infers one.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.schema import work

    with reported():
        schema.metadata.update(work.write_schema(statistics.path, schema.path, schema_file))
