"""KFP interface of the check_labels component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def check_labels(
    examples: dsl.Input[dsl.Dataset],
    label: str,
    shares: dsl.Output[dsl.Artifact],
    min_share: float = 0.01,
) -> None:
    """Counts the label's values in every split; stops where one is too rare to learn, or to judge a model by.

    Args:
        examples: Dataset with a manifest, as ingest leaves one.
        label: Column of a few values: binary, or classes.
        shares: Value to its share of the rows, a split each (summary.json).
        min_share: What every value must have of every split's rows, at least.
    """
    from components.check_labels import work
    from kfp_ct.base.errors import reported

    with reported():
        shares.metadata.update(work.check(examples.path, shares.path, label, min_share))
