"""Writes docs/cli.md from the commands themselves: `python -m kfp_ct.cli.reference docs/cli.md` (`make docs`)."""

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from kfp_ct.cli import commands, exit_codes, groups, main

INTRODUCTION = """# The command reference of `ct`

This page is generated from the commands by `make docs`; `ct COMMAND --help` shows the same. Every command also takes
`--help` (`-h`). `ct --version` shows the versions of ct, Python and kfp and which component environment is used;
`ct --install-completion` installs completion of commands, options, projects, settings and runs for the current shell.
"""
# Typer writes defaults, limits and environment variables after the help text: "Port to listen on.  [default: 8501]".
EXTRAS = "  ["
PIPE = r"\|"  # in a cell of a table


def page() -> str:
    """Returns the whole page, as Markdown."""
    parts = [INTRODUCTION]
    for title, entries in commands.SECTIONS.items():
        parts.append(f"## {title}\n")
        for entry in entries:
            parts += [_command(path, context) for path, context in walk(entry)]
    parts += ["## Environment variables\n", _table(("variable", "meaning"), main.ENVIRONMENT.items())]
    parts += ["## Exit codes\n", _table(("code", "meaning"), exit_codes.MEANINGS.items())]
    return "\n".join(parts)


def walk(entry: commands.Entry) -> Iterator[tuple[list[str], typer.Context]]:
    """Yields a command and the commands below it: the words that call it, and its context."""
    root = typer.main.get_command(main.app).make_context("ct", [], resilient_parsing=True)
    yield from _walk(groups.load(entry), entry.name, [], root)


def _walk(command: Any, name: str, above: list[str], parent: Any) -> Iterator[tuple[list[str], typer.Context]]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    yield [*above, name], context
    for below, member in getattr(command, "commands", {}).items():
        yield from _walk(member, below, [*above, name], context)


def _command(path: list[str], context: Any) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"{'#' * (len(path) + 2)} `ct {' '.join(path)}`\n", f"    {usage}\n", f"{_text(command.help)}\n"]
    if members := getattr(command, "commands", {}):
        parts.append(_table(("command", "meaning"), [(name, _summary(each)) for name, each in members.items()]))
    records = [param.get_help_record(context) for param in command.params]
    rows = [(name, *_split(text)) for name, text in filter(None, records)]
    if rows:
        parts.append(_table(("argument or option", "meaning", "default, limits"), rows))
    if not members:
        codes = exit_codes.declared(command.callback)
        parts.append(_table(("exit code", "meaning"), codes.items()))
    return "\n".join(parts)


def _split(text: str) -> tuple[str, str]:
    meaning, _, extras = text.partition(EXTRAS)
    return meaning, extras.removesuffix("]").replace("default: ", "")


def _summary(command: Any) -> str:
    return _text(command.help).partition("\n")[0]


def _text(docstring: str) -> str:
    return inspect.cleandoc(docstring)


def _table(headings: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings)]
    lines += [(f"`{first}`", *rest) for first, *rest in rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', PIPE) for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
