"""`ct gc`."""

from typing import Annotated

import typer

from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes

_POLICY = "retention.yaml's"


@exit_codes({2: "A record cannot be read, or another `ct gc` goes on: nothing was deleted."})
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go, and delete nothing.")] = False,
    kept: Annotated[bool, typer.Option("--kept", help="List what stays, too, and why.")] = False,
    predecessors: Annotated[
        int | None,
        typer.Option(metavar="N", help="Champions before the present one to keep.", show_default=_POLICY),
    ] = None,
    artifacts_for: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="How long to keep what tasks wrote.", show_default=_POLICY),
    ] = None,
    cache_bytes: Annotated[
        int | None,
        typer.Option(metavar="BYTES", help="Size of what only the cache needs.", show_default=_POLICY),
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Delete runs, artifacts and models nothing refers to.

    Kept are champions and those before them, versions that wait for approval or are being released, open runs, what is
    younger than pipelines/retention.yaml says, what the cache needs within its size, and what any of these refer to.
    Runs may go on meanwhile.
    """
    from kfp_ct.pages.formats import size
    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.retention import collect, settings

    workspace = find_workspace(home)
    given = {"predecessors": predecessors, "artifacts_for": artifacts_for, "cache_bytes": cache_bytes}
    policy = settings.load(workspace.root, {name: value for name, value in given.items() if value is not None})
    found = collect.collect(workspace, policy, dry_run)
    if as_json:
        rows = [[{"kind": i.kind, "name": i.name, "bytes": i.size, "why": i.why, "copies": i.copies} for i in items]
                for items in (found.items, found.kept if kept else ())]  # fmt: skip
        output.print_json({"gone": rows[0], "kept": rows[1], "bytes": found.size, "dry_run": dry_run})
        return
    for word, items in (("goes", found.items), ("stays", found.kept if kept else ())):
        for item in items:
            print(f"{word:<5} {size(item.size):>9}  {item.kind:<13}  {item.name}: {item.why}")
    verb = "would be deleted" if dry_run else "were deleted"
    print(f"{len(found.items)} things, {size(found.size)}, {verb}; {len(found.kept)} runs and versions stay")
