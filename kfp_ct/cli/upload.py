"""`ct upload`."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli.exit_codes import exit_codes


@exit_codes({4: "An upload failed."})
def upload(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Files and folders to upload, such as package.yaml.")
    ],
    to: Annotated[str, typer.Option(metavar="URI", help="Folder in Cloud Storage: gs://bucket/folder.")],
) -> None:
    """Upload files and folders to Cloud Storage."""
    from kfp_ct.ci.cloudbuild import results

    if not to.startswith("gs://") or to.removeprefix("gs://").strip("/") == "":
        raise UsageError(f"--to {to!r}\nexpected: gs://bucket/folder")
    if missing := [str(file) for file in files if not file.is_file() and not any(file.glob("**/*"))]:
        raise UsageError(f"there is no file {missing[0]}")
    for uri in results.to_bucket(files, to):
        print(uri)
