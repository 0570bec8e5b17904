"""KFP interface of the validate_data component."""

from typing import NamedTuple

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def validate_data(
    statistics: dsl.Input[dsl.Artifact],
    schema: dsl.Input[dsl.Artifact],
    champion: dsl.Input[dsl.Model],
    anomalies: dsl.Output[dsl.Artifact],
    view: dsl.Output[dsl.HTML],
    label: str = "",
    environment: str = "TRAINING",
    deny: list = [],
    severities: dict = {},
) -> NamedTuple("Outputs", [("drifted", bool), ("drifted_features", list)]):
    """Compares every split with the schema and stops the run on an anomaly; drift and skew are measured, and go on.

    Args:
        statistics: FeatureStats.pb per split.
        schema: schema.pbtxt; features may have a drift_comparator, a skew_comparator and the tag personal_data.
        champion: Registered model, the baseline of drift; a folder without a SavedModel if there is none.
        anomalies: SchemaDiff.pb per split, and summary.json: anomalies, drift and skew by feature.
        view: The same as a page.
        label: Label column; it must be there with at least two values in every split. Empty for none.
        environment: Schema environment the data belongs to (the label is absent in SERVING).
        deny: Patterns of column names that may not be in the data, such as `*email*`; case does not matter.
        severities: Split to what its anomalies do: stop (the default), warn or skip, such as {"eval": "warn"}.
            Personal data, and a split without rows, stop the run in any case.

    Returns:
        drifted: Whether a feature of the train split is farther from the champion's than its drift_comparator allows.
        drifted_features: Their names.
    """
    from kfp_ct.base import setting_problems
    from kfp_ct.base.errors import reported
    from kfp_ct.components.validate_data import settings, work

    with reported():
        inputs = work.Inputs(statistics.path, schema.path, champion.path, champion.metadata.get("version", ""))
        given = {"label": label, "environment": environment, "deny": deny, "severities": severities}
        rules = setting_problems.read(settings.Parameters, given, "")
        result = work.validate(inputs, work.Outputs(anomalies.path, view.path), rules)
        anomalies.metadata.update(result.metadata)
        return (result.drifted, result.drifted_features)
