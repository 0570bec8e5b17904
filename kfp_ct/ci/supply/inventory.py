"""What is installed in an image. Standard library only: its text is run by the image's own Python.

It prints JSON: the operating system, Python distributions, Debian packages with the source they are built from.
"""

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

DPKG = Path("/var/lib/dpkg/status")
OS_RELEASE = Path("/etc/os-release")


def distributions() -> list[dict[str, str]]:
    """Returns the distributions this Python sees, each once, by name."""
    found: dict[str, dict[str, str]] = {}
    for each in metadata.distributions():
        name = str(each.metadata["Name"] or "")
        if name:
            found.setdefault(name.lower(), {"name": name, "version": each.version, "licence": licence(each.metadata)})
    return [found[name] for name in sorted(found)]


def licence(fields: Any) -> str:
    """Returns the name of a distribution's licence; some have its whole text in that place, which is left out."""
    text = str(fields.get("License-Expression") or fields.get("License") or "").strip()
    return "" if "\n" in text or len(text) > 64 else text


def packages(status: str) -> list[dict[str, str]]:
    """Reads dpkg's status: the installed packages and their sources."""
    found = []
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name, version = fields["Package"], fields["Version"]
        # `Source: name (version)`, where they differ from the package's own.
        source, _, source_version = fields.get("Source", name).partition(" ")
        found.append(
            {
                "name": name,
                "version": version,
                "architecture": fields["Architecture"],
                "source": source,
                "source_version": source_version.strip("()") or version,
            }
        )
    return found


def system(os_release: str) -> dict[str, str]:
    """Reads /etc/os-release: id and version."""
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    return {"id": fields.get("ID", "").strip('"'), "version": fields.get("VERSION_ID", "").strip('"')}


def main() -> None:
    """Prints what is installed here."""
    found = {
        "system": system(OS_RELEASE.read_text()) if OS_RELEASE.is_file() else {},
        "python": distributions(),
        "debian": packages(DPKG.read_text()) if DPKG.is_file() else [],
    }
    # In lines: engines cut long ones.
    json.dump(found, sys.stdout, indent=0)


if __name__ == "__main__":
    main()
