"""KFP interface of the statistics component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def statistics(
    examples: dsl.Input[dsl.Dataset],
    statistics: dsl.Output[dsl.Artifact],
    view: dsl.Output[dsl.HTML],
    beam_pipeline_args: list = [],
) -> None:
    """Computes TFDV statistics of every split.

    Args:
        examples: Dataset with a manifest.
        statistics: FeatureStats.pb per split, and summary.json.
        view: The statistics as a page.
        beam_pipeline_args: Beam options (runner, project, …); empty computes in memory, batch by batch.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.statistics import work

    with reported():
        statistics.metadata.update(work.write_statistics(examples.path, statistics.path, view.path, beam_pipeline_args))
