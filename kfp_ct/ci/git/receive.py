"""What a bare repository's post-receive hook runs: `python -m kfp_ct.ci.git.receive REPOSITORY`."""

import sys
from pathlib import Path

from kfp_ct.ci.git import git_remote

if __name__ == "__main__":
    sys.exit(git_remote.receive(Path(sys.argv[1]), iter(sys.stdin)))
