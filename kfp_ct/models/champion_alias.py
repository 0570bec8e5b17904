"""Makes a registered version the champion, with a line in the alias's history; what is so already is left so."""

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.models import champion_history, model_version, registry, registry_sqlite

# Tags of a version that say by whom, why and by which run a champion moves.
_CAUSE_TAGS = ("user", "cause", "run")


def make_champion(registry_uri: str, model_name: str, number: str) -> str:
    """Points the alias champion at a version that a run has registered; returns the version before.

    Raises:
        ConfigurationError: The registry has no such version, cannot be written or does not answer.
    """
    champion = registry.open_reader(registry_uri).champion(model_name)
    if champion and champion.number == number:
        return champion.tags.get("previous_champion", "")
    with registry.writing(registry_uri) as client, registry_sqlite.alone(model_version.database_path(registry_uri)):
        reader = registry.open_reader(registry_uri)
        found, champion = reader.version(model_name, number), reader.champion(model_name)
        if found is None:
            raise ConfigurationError(
                f"{model_name} v{number} is not registered in {registry_uri}\n"
                "expected: the version that register returned\nfix: run the pipeline again"
            )
        before = champion.number if champion else ""
        if before == number:
            return found.tags.get("previous_champion", "")
        move(client, model_name, found, before)
    return before


def move(client: registry.Writer, model_name: str, version: model_version.ModelVersion, before: str) -> None:
    """Moves the alias to a run's version and notes why; call it only while holding the registry's lock."""
    causes = (version.tags.get(name, "") for name in _CAUSE_TAGS)
    now = champion_history.now()
    made = champion_history.Move(now, champion_history.REGISTER, before, version.number, *causes)
    note(client, model_name, made)
    move_champion(client, model_name, made)


def note(client: registry.Writer, model_name: str, move: champion_history.Move) -> None:
    """Keeps a move, or what became of it, with the version it makes the champion."""
    client.set_model_version_tag(model_name, move.version, *move.tag)


def move_champion(client: registry.Writer, model_name: str, move: champion_history.Move) -> None:
    """Points the alias champion at a move's version, which remembers the one before unless it goes back there."""
    if move.kind != champion_history.ROLLBACK and move.before != move.version:
        client.set_model_version_tag(model_name, move.version, "previous_champion", move.before)
    client.set_registered_model_alias(model_name, model_version.CHAMPION, move.version)
