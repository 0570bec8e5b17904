"""What the pages say exists: each command with its options, each file that a link or a picture names, each heading."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from kfp_ct.cli.main import app
from repository import ROOT

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").glob("*.md")]
PAGES += (ROOT / "kfp_ct" / "new" / "templates").rglob("*.md")
CODE = re.compile(
    r"^(?: {4}|\t)(?:\$ )?(?P<block>(?:\.venv/bin/)?ct .*)$|`(?:\.venv/bin/)?(?P<inline>ct [^`]*)`", re.MULTILINE
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# What a page leaves out of a command, or says beside it.
LEFT_OUT = re.compile(r"…|\.\.\.|(\s&)?\s*(\s#\s.*|\|.*)?$")
PLACEHOLDERS = {"K": "3", "N": "3"}
# Usages with their metavariables; commands of earlier versions, and such as were turned down.
APART = {"cli.md", "CHANGELOG.md", "decisions.md"}


def commands(page: Path, kind: str) -> list[str]:
    """Commands of a page: of a block, complete, or of a sentence, which may leave out what a command takes."""
    found = [match[kind].replace(".venv/bin/ct", "ct") for match in CODE.finditer(page.read_text()) if match[kind]]
    return [LEFT_OUT.sub("", each.split(" && ")[0]).replace("\n", " ").strip() for each in found]


def parse(line: str) -> None:
    """Has typer parse a command line, as far as it does before the command runs."""
    command, context, rest = resolve(line)
    command.make_context(command.name, rest, parent=context)


def name_options(line: str) -> None:
    """Demands that a command has the options that a sentence names."""
    command, context, rest = resolve(line)
    named = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    if context is None:  # of ct itself
        context = command.make_context("ct", [], resilient_parsing=True)
    known = {"--help"} | {
        name for parameter in command.get_params(context) for name in (*parameter.opts, *parameter.secondary_opts)
    }
    assert named <= known, f"has no {', '.join(sorted(named - known))}"


def resolve(line: str):
    """Finds the command that a line names, among the groups too."""
    rest = [PLACEHOLDERS.get(word, word) for word in shlex.split(line)[1:]]
    command, context = typer.main.get_command(app), None
    while hasattr(command, "resolve_command") and rest and not rest[0].startswith("-"):
        context = command.make_context("ct", rest, parent=context)
        _, command, rest = command.resolve_command(context, rest)
    return command, context, rest


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_exist_and_take_these_options(page):
    if page.name in APART:
        pytest.skip("names others than the commands there are")
    for kind, check in (("block", parse), ("inline", name_options)):
        for line in commands(page, kind):
            try:
                check(line)
            except (typer.TyperException, ValueError, AssertionError) as error:
                raise AssertionError(f"{page.name}: `{line}`: {getattr(error, 'message', '') or error}") from None


def test_commands_are_found_at_all():
    assert len(commands(ROOT / "docs" / "tour.md", "block")) > 20
    assert len(commands(ROOT / "docs" / "triggers.md", "inline")) > 3


@pytest.mark.parametrize("line", ["ct rum flights", "ct run flights --setings prod", "ct schedule plam flights"])
def test_a_command_that_does_not_exist_is_noticed(line):
    with pytest.raises(typer.TyperException):
        parse(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_of_a_page_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        path, _, heading = target.partition("#")
        if re.match(r"\w+:", path):
            continue
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name}: {target}"
        if heading:
            assert heading in headings(file), f"{page.name}: {target}"


def headings(page: Path) -> list[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
