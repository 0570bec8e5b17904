"""What was done by hand for a project, and written down: its scorecard.yaml."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field

from kfp_ct.base.errors import UsageError
from kfp_ct.base.settings import Settings, Text, matching
from kfp_ct.project import yaml_file

FILE = "scorecard.yaml"
_TEST = r"(data|model|infrastructure|monitoring) [1-7]"


class Note(Settings):
    """Something that was done by hand: half a point, where nothing automated earns more."""

    test: Annotated[str, matching(f"^{_TEST}$", "a section and a number, such as data 2")] = Field(
        description="Which of the 28 tests it is for."
    )
    document: Text = Field(description="File that says what was done and what came of it, from the repository's root.")
    date: Annotated[str, matching(r"^\d{4}-\d\d-\d\d$", "a day such as 2013-06-01")] = Field(
        description="When it was done."
    )
    by: Text = Field(description="Who did it.")


class Notes(Settings):
    """What was done by hand."""

    notes: tuple[Note, ...] = Field((), description="One entry a test.", strict=False)


def load(folder: Path) -> list[Note]:
    """Reads a project's scorecard.yaml; without one nothing was done by hand.

    Raises:
        UsageError: It does not fit, or names a document that is not there or is empty.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    notes: Notes = yaml_file.described(yaml_file.read(path), Notes, path)
    for each in notes.notes:
        document = folder.parent.parent / each.document
        if not document.is_file() or not re.search(r"\w", document.read_text()):
            raise UsageError(
                f"{path}: {each.test}: there is no document {each.document}\n"
                "expected: a file that says what was done\nfix: write it, or take the entry out"
            )
    return list(notes.notes)
