"""The images of this project and what each is made of: an image is built again only if that changed."""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from kfp_ct.base.errors import UsageError

DOCKERFILE = "Dockerfile"
_COPY = re.compile(r"COPY (?!--from)(?P<paths>.+)")
_FROM = re.compile(r"FROM (?P<base>\S+) AS (?P<name>\S+)")
# What an image is before this project's sources: the stage it is built on, if there is one of that name.
_ENVIRONMENT = "-env"
# An image of which a variant for accelerators is made when it is named.
_VARIANT = "-gpu"


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage of the Dockerfile: its text without comments, what it builds on, the paths it copies from the sources."""

    name: str
    text: str
    needs: tuple[str, ...]
    paths: tuple[str, ...]


def targets(root: Path) -> list[str]:
    """Returns the names of the images that are always built: the stages that declare what they are by a label."""
    return [name for name in _labelled(root) if not name.endswith(_VARIANT)]


def _labelled(root: Path) -> list[str]:
    return [stage.name for stage in _stages(root).values() if "LABEL org.opencontainers.image.title" in stage.text]


def content_hash(root: Path, target: str, base: str) -> str:
    """Returns a hash of everything an image is made of.

    That is the text of its stages, the files they copy, and the base image's digest. The commit is a label and no
    part of it.

    Args:
        root: The repository.
        target: Name of the image: a stage of the Dockerfile.
        base: The base image by digest.

    Raises:
        UsageError: There is no such stage.
    """
    stages = _stages(root)
    if target not in stages:
        raise UsageError(f"the {DOCKERFILE} has no stage {target}\nexpected: one of {', '.join(_labelled(root))}")
    digest = hashlib.sha256(base.encode())
    for name in _closure(stages, target):
        digest.update(stages[name].text.encode())
        for path in sorted({file for given in stages[name].paths for file in _files(root, given)}):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:20]


def environment(root: Path, target: str) -> str:
    """Returns the stage that has what an image needs of others and nothing of the sources; empty if there is none."""
    stages = _stages(root)
    name = target
    while name in stages and not name.endswith(_ENVIRONMENT):
        name = stages[name].needs[0]
    return name if name in stages else ""


def dockerfile(root: Path, target: str, given: Mapping[str, str]) -> str:
    """Returns the Dockerfile with the stages that one image needs, and no others: an engine may run all it reads.

    Args:
        root: The repository.
        target: Name of the image, the last stage of what is returned.
        given: Stages that are images already: name to reference.
    """
    stages = {name: stage for name, stage in _stages(root).items() if name not in given}
    needed = _closure(stages, target)
    head, *_ = _parts(root)
    images = "".join(f"FROM {reference} AS {name}\n" for name, reference in given.items())
    return head + images + "\n".join(stage.text for name, stage in stages.items() if name in needed) + "\n"


def _parts(root: Path) -> list[str]:
    """Returns what stands before the first stage of the Dockerfile, then each stage."""
    path = root / DOCKERFILE
    if not path.is_file():
        raise UsageError(f"there is no {path}\nexpected: the repository with its {DOCKERFILE}")
    return re.split(r"^(?=FROM )", path.read_text(), flags=re.MULTILINE)


def _stages(root: Path) -> dict[str, Stage]:
    return {stage.name: stage for stage in map(_stage, _parts(root)[1:])}


def _stage(text: str) -> Stage:
    head = _FROM.match(text)
    if head is None:
        raise UsageError(f"a stage of the {DOCKERFILE} has no name: {text.splitlines()[0]}\nexpected: FROM … AS name")
    # To the letter: the engine finds its layers again by the text of their instructions.
    instructions = "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    copied = [match["paths"].split()[:-1] for match in _COPY.finditer(text.replace("\\\n", " "))]
    needs = (head["base"], *re.findall(r"--from=(\S+)", text))
    return Stage(head["name"], instructions, needs, tuple(path for paths in copied for path in paths))


def _closure(stages: dict[str, Stage], target: str) -> list[str]:
    found: list[str] = []
    waiting = [target]
    while waiting:
        name = waiting.pop()
        if name in stages and name not in found:
            found.append(name)
            waiting += stages[name].needs
    return sorted(found)


def _files(root: Path, given: str) -> list[Path]:
    path = root / given
    if not path.exists():
        raise UsageError(f"the {DOCKERFILE} copies {given}, which is not there")
    # What differs by network or is made by running is no part of an image.
    left_out = {"__pycache__", "build-inputs"}
    files = path.rglob("*") if path.is_dir() else [path]
    return [each for each in files if each.is_file() and not left_out.intersection(each.parts)]
