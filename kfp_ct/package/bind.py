"""Binds the logical images of a package to real ones, by digest, as images.lock or options name them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kfp_ct.base.errors import UsageError
from kfp_ct.package import package
from kfp_ct.package.package import Package

LOCK = "images.lock"


@dataclasses.dataclass(frozen=True)
class Images:
    """References by the names of images.

    Attributes:
        named: Those that were named one by one; the package must use each.
        locked: Those of a lock file; the package uses some.
    """

    named: Mapping[str, str] = dataclasses.field(default_factory=dict)
    locked: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def bind(self, compiled: Package) -> Package:
        """Returns a package with its images bound; what is named one by one wins.

        Raises:
            UsageError: No component of the package uses an image that was named one by one.
        """
        used = {each: self.locked[each] for each in package.logical_images(compiled) if each in self.locked}
        return package.bind_images(compiled, {**used, **self.named})


def read_lock(path: Path) -> dict[str, str]:
    """Reads the lock file: name to reference by digest.

    Raises:
        UsageError: It is not there, or holds no images.
    """
    return {str(name): str(reference) for name, reference in read_whole_lock(path)["images"].items()}


def read_whole_lock(path: Path) -> dict[str, Any]:
    """Reads the lock file with what the images are made of: `images`, and `base` and `contents` where it has them.

    Raises:
        UsageError: It is not there, or holds no images.
    """
    try:
        lock = yaml.safe_load(path.read_text())
        images = lock["images"]
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is no image lock: {error}\nfix: make it with `ct images build`") from error
    if not images or not all("@sha256:" in str(reference) for reference in images.values()):
        raise UsageError(f"{path} holds no images by digest\nfix: make it with `ct images build`")
    return dict(lock)
