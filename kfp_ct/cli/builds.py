"""`ct builds`."""

from kfp_ct.cli import options, output


def builds(home: options.Home = None, as_json: options.Json = False) -> None:
    """List the builds on this machine, newest first."""
    from kfp_ct.ci.cloudbuild import record
    from kfp_ct.project.workspace import find_workspace

    found = record.load_all(find_workspace(home).builds)
    if as_json:
        output.print_json(found)
    elif found:
        from kfp_ct.ci.cloudbuild import view
        from kfp_ct.cli.console import open_console

        open_console().print(view.table(found))
    else:
        print("no builds yet: start one with `ct build`")
