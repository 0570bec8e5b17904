"""How commands are shown and found: sections, exit codes in every help page, modules imported on demand."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from kfp_ct.cli import commands, exit_codes, output

# Plain text: Rich would take square brackets for markup, and costs a third of the time that `ct --help` has.
MARKUP = None
WIDEST = 120
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": WIDEST}


class Command(TyperCommand):
    """A command whose help ends with its exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; a reader of its output that has ended is no defect."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            output.discard_output()
            raise typer.Exit(exit_codes.CLOSED_PIPE) from None

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Writes the exit codes."""
        write_section(formatter, "Exit codes", exit_codes.declared(self.callback))


class Group(TyperGroup):
    """A family of commands; alone it shows its help, as an error."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Shows the help where no command is named."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            ctx.exit(2)
        return super().parse_args(ctx, args)


class LazyGroup(Group):
    """The commands of the table: listed from it, imported when one is invoked, completed or asked for help."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for entry in commands.ENTRIES.values():
            self.add_command(TyperCommand(entry.name, help=entry.summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Finds the command that arguments name, and imports it."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load(commands.ENTRIES[name]) if name else None, rest

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Lists the commands in their sections, then the options."""
        width = max(map(len, commands.ENTRIES))
        for title, entries in commands.SECTIONS.items():
            write_section(formatter, title, {entry.name.ljust(width): entry.summary for entry in entries})
        records = (option.get_help_record(ctx) for option in self.get_params(ctx))
        write_section(formatter, "Options", dict(filter(None, records)))


def load(entry: commands.Entry) -> Any:
    """Imports a command of the table; returns it as typer runs it."""
    module, _, attribute = entry.source.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        command = typer.main.get_command(found)
        command.name = entry.name
        return command
    app = typer.Typer(add_completion=False, rich_markup_mode=MARKUP)
    app.command(entry.name, cls=Command)(found)
    return typer.main.get_command(app)


def family(summary: str, members: Mapping[str, Callable[..., Any] | typer.Typer]) -> typer.Typer:
    """Makes a command of commands, such as `ct images`.

    Args:
        summary: First line of its help.
        members: Name to its function, or to a family below it.
    """
    app = typer.Typer(cls=Group, help=summary, add_completion=False, rich_markup_mode=MARKUP)
    for name, member in members.items():
        if isinstance(member, typer.Typer):
            app.add_typer(member, name=name)
        else:
            app.command(name, cls=Command)(member)
    return app


def write_section(formatter: Any, title: str, rows: Mapping[Any, str]) -> None:
    """Writes a heading and under it what is named and what it is."""
    with formatter.section(title):
        formatter.write_dl([(str(name), text) for name, text in rows.items()])
