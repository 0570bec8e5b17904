"""The line by which an editor finds the JSON schema of a YAML file."""

FOLDER = "schemas"  # below pipelines/, where kfp_ct/cli/setting_schemas.py writes them


def schema_line(name: str, depth: int) -> str:
    """Returns the first line of a file of settings, triggers or schedules.

    Args:
        name: The schema's: a pipeline's, triggers or schedules.
        depth: Folders between the file and pipelines/.
    """
    return f"# yaml-language-server: $schema={'../' * depth}{FOLDER}/{name}.json\n"
