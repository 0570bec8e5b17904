"""The model card that the registry keeps with a version, as register wrote it."""

import tempfile
from pathlib import Path

from kfp_ct.base.errors import UsageError
from kfp_ct.champions import locations
from kfp_ct.champions.locations import Location
from kfp_ct.data import layouts
from kfp_ct.models import registered_model


def read(place: Location, name: str, number: str, form: str) -> str:
    """Returns the card of a version.

    Args:
        place: The registry.
        name: The model.
        number: The version.
        form: One of the forms of a card: html, md or json.

    Raises:
        UsageError: There is no such version, or it was registered without a card.
        CtError: Its files are gone, or the registry does not hand them out.
    """
    versions = locations.versions(place, name)
    version = next((each for each in versions if each.number == number), None)
    if version is None:
        known = ", ".join(each.number for each in versions)
        raise UsageError(
            f"{name} has no version {number} in {place.registry_uri}\nexpected: one of those there: {known}"
        )
    folder = locations.local_files(place, name, version)
    if folder is not None:
        return _text(folder, name, number, form)
    from kfp_ct.models import registry_download

    with tempfile.TemporaryDirectory(prefix="ct-card-") as temporary:
        kept = (layouts.KEPT_CARD,)
        registry_download.download_records(place.registry_uri, version.source, Path(temporary), kept)
        return _text(Path(temporary), name, number, form)


def is_here(place: Location, name: str, number: str) -> bool:
    """Whether a version's card lies on this machine."""
    version = place.reader.version(name, number)
    folder = registered_model.local_folder(version, place.registry_uri, name) if version else None
    return folder is not None and _path(folder, "html").is_file()


def _text(folder: Path, name: str, number: str, form: str) -> str:
    path = _path(folder, form)
    if not path.is_file():
        raise UsageError(
            f"{name} v{number} has no model card in the registry: no {path.name}\n"
            "expected: a version that was registered since register writes cards\n"
            "fix: ct model-card PROJECT --run RUN makes one from the run's report"
        )
    return path.read_text()


def _path(folder: Path, form: str) -> Path:
    return folder / layouts.REGISTERED / layouts.KEPT_CARD / f"{layouts.KEPT_CARD}.{form}"
