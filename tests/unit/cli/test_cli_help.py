"""Every help page: complete, in order, and readable at any width."""

import re

import pytest

from cli_runner import ct
from kfp_ct.base import errors
from kfp_ct.cli import commands, exit_codes, groups, reference

PAGES = [(path, context) for entry in commands.ENTRIES.values() for path, context in reference.walk(entry)]
each_page = pytest.mark.parametrize(("path", "context"), [pytest.param(*page, id=" ".join(page[0])) for page in PAGES])
LEFT_OVERS = re.compile(r"\[\]|\(\)|\[default:\s*\]| \.(\s|$)")


def help_page(home, path, width):
    done = ct(home, *path, "--help", environment={"COLUMNS": str(width)})
    assert (done.code, done.err) == (0, "")
    return done.out


def words(text):
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 120])
@each_page
def test_a_help_page_keeps_to_the_width_and_has_no_gaps(tmp_path, path, context, width):
    page = help_page(tmp_path, path, width)

    assert page.startswith(f"Usage: ct {' '.join(path)} ")
    assert [line for line in page.splitlines() if len(line) > width] == []
    assert [line for line in page.splitlines() if LEFT_OVERS.search(line)] == []


@each_page
def test_every_argument_and_option_is_on_the_page_with_help_and_default(tmp_path, path, context):
    page = words(help_page(tmp_path, path, 120))

    for param in context.command.params:
        name, text = param.get_help_record(context)
        assert words(name) in page
        assert words(text) in page
        assert re.match(r"[A-Z].*[.…]$", param.help), f"{name}: {param.help!r} should be a sentence"
        says_default = "default: " in text or "required]" in text
        assert says_default or "epeatable" in text or param.is_bool_flag, f"{name} says no default: {text}"


@pytest.mark.parametrize(
    ("path", "context"),
    [pytest.param(*page, id=" ".join(page[0])) for page in PAGES if not hasattr(page[1].command, "commands")],
)
def test_a_commands_page_ends_with_its_exit_codes(tmp_path, path, context):
    _, _, said = help_page(tmp_path, path, 120).partition("\nExit codes:\n")

    codes = exit_codes.declared(context.command.callback)
    assert {0, 2} <= codes.keys() <= exit_codes.MEANINGS.keys()
    assert words(said) == words(" ".join(f"{code} {text}" for code, text in codes.items()))


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in commands.ENTRIES.values()])
def test_the_table_says_what_the_command_says(entry):
    first_line = groups.load(entry).help.partition("\n")[0]

    assert entry.summary == first_line
    assert len(f"  {'':{max(map(len, commands.ENTRIES))}}  {entry.summary}") <= 80


def test_ct_help_lists_commands_in_their_sections_then_variables_and_exit_codes(tmp_path):
    page = help_page(tmp_path, [], 80)

    headings = [line.removesuffix(":") for line in page.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [*commands.SECTIONS, "Options", "Environment variables", "Exit codes"]
    for name, entry in commands.ENTRIES.items():
        assert re.search(rf"^  {name} +{re.escape(entry.summary)}$", page, re.MULTILINE)
    assert "CT_HOME" in page
    assert [line for line in page.splitlines() if len(line) > 80] == []


def test_no_name_is_in_two_sections():
    names = [entry.name for entries in commands.SECTIONS.values() for entry in entries]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("arguments", [["-h"], ["run", "-h"], ["images", "scan", "-h"]])
def test_h_is_help(tmp_path, arguments):
    assert ct(tmp_path, *arguments).out == ct(tmp_path, *arguments[:-1], "--help").out


@pytest.mark.parametrize("arguments", [[], ["images"], ["trigger", "git"]])
def test_a_family_without_a_command_shows_its_help_as_an_error(tmp_path, arguments):
    alone, asked = ct(tmp_path, *arguments), ct(tmp_path, *arguments, "--help")

    assert (alone.code, alone.out) == (2, asked.out)


def tree(error):
    yield error
    for below in error.__subclasses__():
        yield from tree(below)


def test_every_exit_code_of_the_error_tree_has_a_meaning():
    for name in ("ci.images.build", "ci.images.registry", "ci.supply.scan", "ci.supply.sbom", "ci.cloudbuild.results"):
        pytest.importorskip(f"kfp_ct.{name}")

    found = {error.exit_code for error in tree(errors.CtError)}

    assert {1, 2, 3, 4, 7, 124} <= found <= exit_codes.MEANINGS.keys()
