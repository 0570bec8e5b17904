"""What a bare repository's post-receive hook runs: `python -m ct.triggers.receive REPOSITORY`."""

import sys
from pathlib import Path

from ct.triggers import git_remote

if __name__ == "__main__":
    sys.exit(git_remote.receive(Path(sys.argv[1]), iter(sys.stdin)))
