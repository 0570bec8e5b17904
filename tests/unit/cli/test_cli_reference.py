"""docs/cli.md is what the commands say."""

import re

from kfp_ct.cli import commands, reference
from repository import ROOT

PAGE = ROOT / "docs" / "cli.md"


def test_the_reference_is_current():
    assert PAGE.read_text() == reference.page(), "fix: make docs"


def test_every_command_has_a_section():
    page = PAGE.read_text()

    for name in commands.ENTRIES:
        assert f"\n### `ct {name}`\n" in page
    assert "\n#### `ct schedule plan`\n" in page
    assert "\n##### `ct trigger git install`\n" in page


def test_cells_do_not_break_tables():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    columns = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]

    assert set(columns) == {3, 4}
