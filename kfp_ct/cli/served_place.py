"""Where a command's model is registered and served, by the options that all such commands have."""

from typing import TYPE_CHECKING

from kfp_ct.cli import options

if TYPE_CHECKING:
    from kfp_ct.champions.locations import Location


def opened(name: str, registry: str, serving_root: str, settings: str, home: options.Home) -> "Location":
    """Returns the place of a model.

    Args:
        name: The model; needed with `settings`.
        registry: The registry, over that of the settings.
        serving_root: Where models are served from, over that of the settings.
        settings: Environment of the project that trains the model; empty for this machine's own places.
        home: The local state.

    Raises:
        UsageError: There is no repository, or no project has such settings for the model.
    """
    from kfp_ct.champions import locations
    from kfp_ct.project.workspace import find_workspace

    workspace = find_workspace(home)
    chosen = locations.settings_of(workspace, name, settings) if settings else None
    return locations.open_location(workspace, registry, serving_root, chosen)
