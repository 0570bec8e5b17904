"""KFP interface of the validate_data component."""

from kfp import dsl

from components import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def validate_data(
    statistics: dsl.Input[dsl.Artifact],
    schema: dsl.Input[dsl.Artifact],
    anomalies: dsl.Output[dsl.Artifact],
    view: dsl.Output[dsl.HTML],
    label: str = "",
    environment: str = "TRAINING",
) -> None:
    """Compares every split with the schema and stops the run on any anomaly.

    Args:
        statistics: FeatureStats.pb per split.
        schema: schema.pbtxt.
        anomalies: SchemaDiff.pb per split, and summary.json with one entry an anomaly.
        view: The anomalies as a page.
        label: Label column; it must be there with at least two values in every split. Empty for none.
        environment: Schema environment the data belongs to (the label is absent in SERVING).
    """
    from components.errors import reported
    from components.validate_data import work

    with reported():
        inputs, outputs = work.Inputs(statistics.path, schema.path), work.Outputs(anomalies.path, view.path)
        anomalies.metadata.update(work.validate(inputs, outputs, label, environment))
