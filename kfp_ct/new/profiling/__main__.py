"""Profiles a CSV file: `python -m kfp_ct.new.profiling FILE LABEL TIME TASK OUTPUT`; the profile is written as JSON."""

import sys

from kfp_ct.base.errors import reported
from kfp_ct.data import layouts
from kfp_ct.new.profiling import work


def main(arguments: list[str]) -> None:
    """Writes the profile, or says on standard error why there is none (exit code 2)."""
    data, label, time, task, output = arguments
    with reported():
        layouts.write_json(output, work.profile(work.Request(data, label, time, task)))


if __name__ == "__main__":
    main(sys.argv[1:])
