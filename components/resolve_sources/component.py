"""KFP interface of the resolve_sources component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def resolve_sources(
    sources: dict,
    window_start: str = "",
    window_end: str = "",
    options: dict = {},
    data_version: str = "",
) -> str:
    """Fingerprints the sources without reading them, so that ingest and all after it are cached while nothing changed.

    Args:
        sources: Table name to a source, as ingest takes them.
        window_start: First instant of the window; where it hangs on the day, the day is part of the fingerprint.
        window_end: First instant after the window.
        options: Options of ingest.
        data_version: Fingerprint that is known already, as `ct run` takes it; empty to take it here.

    Returns:
        The fingerprint: checksums of objects, content of files, the last change of BigQuery's tables.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.resolve_sources import work

    with reported():
        return work.resolve(sources, (window_start, window_end), options, data_version)
