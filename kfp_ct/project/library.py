"""Whether an environment has what the library installed in it needs: its locks may be those of an older one.

Runs in that environment: `python -m kfp_ct.project.library EXTRA`.
"""

import sys
from collections.abc import Iterable, Iterator
from importlib import metadata

from packaging.requirements import Requirement


def lacking(requirements: Iterable[str], extra: str) -> Iterator[str]:
    """Yields what an extra asks for and this environment does not have, and what it has instead.

    Args:
        requirements: Requirements of the library, those of its extras marked as such.
        extra: Name of the extra.
    """
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield f"{wanted}, which is not there"
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield f"{wanted}, and {found} is there"


def main() -> int:
    """Prints what is lacking; returns the exit code."""
    (extra,) = sys.argv[1:]
    found = list(lacking(metadata.requires("kfp-ct") or [], extra))
    for each in found:
        print(f"kfp-ct {metadata.version('kfp-ct')} needs {each}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
