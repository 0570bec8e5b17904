"""What Cloud Build demands of a configuration beyond its fields and types.

Limits: https://cloud.google.com/build/quotas. The rules are those of Google's own local builder
(GoogleCloudPlatform/cloud-build-local) and of the build config reference.
"""

import difflib
import posixpath
import re
from typing import Any

from kfp_ct.ci.cloudbuild import expansion
from kfp_ct.ci.cloudbuild.document import Document, Path, dotted
from kfp_ct.ci.cloudbuild.problems import Findings

FIRST = "-"  # waits for nothing
MAX_SECONDS = 24 * 3600
MAX_DISK_GB, MAX_EXIT_CODE = 4_000, 255
MAX_STEPS, MAX_ITEMS, MAX_ARGUMENT, MAX_SUBSTITUTIONS, MAX_VALUE = 300, 100, 10_000, 200, 4_000
_PACKAGES = {
    "npmPackages": ("repository", "packagePath"),
    "pythonPackages": ("repository", "paths"),
    "mavenArtifacts": ("repository",),
}
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_RESERVED = ("/workspace", "/builder/home", "/var/run/docker.sock")
_SECRET = re.compile(r"projects/[^/]+/(?:locations/[^/]+/)?secrets/[^/]+/versions/[^/]+")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::\d+)?"
IMAGE = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?")


def check(document: Document, findings: Findings) -> None:
    """Examines steps, their order, environment, secrets, volumes, timeouts and results."""
    tree = document.tree
    if "source" in tree:
        findings.error(
            document.line("source"), "a configuration cannot name its source\nexpected: it comes with the build"
        )
    steps = tree.get("steps", [])
    if not steps:
        findings.error(document.line("steps"), "there are no steps\nexpected: at least one step with a name")
    checker = _Checker(document, findings)
    checker.steps(steps)
    checker.timeouts(steps)
    checker.environment(steps)
    checker.secrets(steps)
    checker.volumes(steps)
    checker.results()
    checker.limits(steps)
    checker.service_account()


class _Checker:
    def __init__(self, document: Document, findings: Findings) -> None:
        self._document, self._findings = document, findings
        self._tree = document.tree
        self._options: dict[str, Any] = document.tree.get("options", {})

    def _error(self, path: Path, message: str) -> None:
        self._findings.error(self._document.line(*path), message)

    def steps(self, steps: list[dict[str, Any]]) -> None:
        """Names, images, scripts and the order: a step may wait only for steps before it."""
        known: set[str] = set()
        for index, step in enumerate(steps):
            at: Path = ("steps", index)
            if not step.get("name"):
                self._error((*at, "name"), f"{dotted(at)} has no name\nexpected: the image it runs in")
            elif why := _no_image(step["name"]):
                self._error((*at, "name"), f"{dotted(at)}.name {step['name']!r} {why}")
            if step.get("script") and (step.get("args") or step.get("entrypoint")):
                self._error((*at, "script"), f"{dotted(at)} has a script and args or an entrypoint\nexpected: either")
            for each, wanted in enumerate(step.get("waitFor", [])):
                if wanted != FIRST and wanted not in known and "$" not in wanted:
                    self._error((*at, "waitFor", each), _not_there(wanted, steps, index))
            if identifier := step.get("id"):
                if identifier == FIRST or identifier in known:
                    why = "is taken by an earlier step" if identifier in known else "means: wait for nothing"
                    self._error((*at, "id"), f"the id {identifier} {why}")
                known.add(identifier)

    def timeouts(self, steps: list[dict[str, Any]]) -> None:
        """A build ends within a day, a step within its build."""
        whole = seconds(self._tree.get("timeout", "")) or 0
        if whole > MAX_SECONDS:
            self._error(("timeout",), f"timeout is {self._tree['timeout']}\nexpected: at most {MAX_SECONDS}s")
        for index, step in enumerate(steps):
            own = seconds(step.get("timeout", "")) or 0
            if own > (whole or MAX_SECONDS):
                self._error(
                    ("steps", index, "timeout"),
                    f"steps[{index}].timeout {step['timeout']} is longer than the build's {whole or MAX_SECONDS:g}s",
                )

    def environment(self, steps: list[dict[str, Any]]) -> None:
        """Variables are KEY=VALUE."""
        places: list[tuple[Path, list[str]]] = [(("options", "env"), self._options.get("env", []))]
        places += [(("steps", index, "env"), step.get("env", [])) for index, step in enumerate(steps)]
        for path, entries in places:
            for index, entry in enumerate(entries):
                if "=" not in entry and "$" not in entry:
                    self._error((*path, index), f"{dotted(path)}[{index}] is {entry!r}\nexpected: KEY=VALUE")

    def secrets(self, steps: list[dict[str, Any]]) -> None:
        """Every secret variable that is used is defined, once, and is no ordinary variable as well."""
        defined = self._defined_secrets()
        shared = self._options.get("secretEnv", [])
        for path, names in [(("options", "secretEnv"), shared)] + [
            (("steps", index, "secretEnv"), step.get("secretEnv", [])) for index, step in enumerate(steps)
        ]:
            for index, name in enumerate(names):
                at: Path = (*path, index)
                if name not in defined and "$" not in name:
                    self._error(at, f"the secret {name} is used but not defined\nexpected: it in availableSecrets")
                if name in names[:index] or (path[0] == "steps" and name in shared):
                    self._error(at, f"the secret {name} is there twice")
        used = {*shared, *(name for step in steps for name in step.get("secretEnv", []))}
        for name, at in defined.items():
            if name not in used and "$" not in name:
                self._error(at, f"the secret {name} is defined but not used\nexpected: it in the secretEnv of a step")
        for index, step in enumerate(steps):
            for name in {entry.partition("=")[0] for entry in [*self._options.get("env", []), *step.get("env", [])]}:
                if name in shared or name in step.get("secretEnv", []):
                    own: Path = ("steps", index, "env" if "env" in step else "secretEnv")
                    self._error(own, f"steps[{index}] has {name} as a variable and as a secret")

    def _defined_secrets(self) -> dict[str, Path]:
        """Returns where each secret variable is defined."""
        available = self._tree.get("availableSecrets", {})
        defined: list[tuple[str, Path]] = []
        for index, item in enumerate(available.get("secretManager", [])):
            at: Path = ("availableSecrets", "secretManager", index)
            name = item.get("versionName", "")
            if not name or not item.get("env"):
                self._error(at, f"{dotted(at)} is not whole\nexpected: versionName and env")
            elif not _SECRET.fullmatch(name) and "$" not in name.replace("$PROJECT_", "").replace("${PROJECT_", ""):
                wanted = "projects/PROJECT/secrets/NAME/versions/VERSION"
                self._error((*at, "versionName"), f"{dotted(at)}.versionName is {name!r}\nexpected: {wanted}")
            defined.append((item.get("env", ""), (*at, "env")))
        for path, kind in (("secrets",), "secretEnv"), (("availableSecrets", "inline"), "envMap"):
            items = self._tree.get("secrets", []) if kind == "secretEnv" else available.get("inline", [])
            for index, item in enumerate(items):
                if not item.get("kmsKeyName") or not item.get(kind):
                    self._error(
                        (*path, index), f"{dotted((*path, index))} is not whole\nexpected: kmsKeyName and {kind}"
                    )
                defined += [(name, (*path, index, kind, name)) for name in item.get(kind, {})]
        first: dict[str, Path] = {}
        for name, where in defined:
            if name and name in first:
                self._error(where, f"the secret {name} is defined twice")
            first.setdefault(name, where)
        first.pop("", None)
        return first

    def volumes(self, steps: list[dict[str, Any]]) -> None:
        """Volumes carry data from step to step: absolute paths, no reserved ones, two steps at least."""
        shared = self._options.get("volumes", [])
        if shared and len(steps) < 2:
            self._error(("options", "volumes"), "options.volumes are for at least two steps; there is one")
        used: dict[str, list[Path]] = {}
        for path, volumes in [(("options", "volumes"), shared)] + [
            (("steps", index, "volumes"), step.get("volumes", [])) for index, step in enumerate(steps)
        ]:
            others = [] if path[0] == "options" else shared
            for index, volume in enumerate(volumes):
                self._volume((*path, index), volume, [*others, *volumes[:index]])
                if path[0] == "steps":
                    used.setdefault(volume.get("name", ""), []).append((*path, index))
        for name, places in used.items():
            if len(places) == 1 and name:
                self._error(places[0], f"the volume {name} is used by one step only\nexpected: at least two")

    def _volume(self, at: Path, volume: dict[str, str], others: list[dict[str, str]]) -> None:
        name, path = volume.get("name", ""), posixpath.normpath(volume.get("path", ""))
        if not _VOLUME.fullmatch(name) and "$" not in name:
            self._error(at, f"{dotted(at)}.name is {name!r}\nexpected: letters, digits, '.', '_' and '-'")
        if not path.startswith("/") and "$" not in path:
            self._error(at, f"{dotted(at)}.path is {volume.get('path', '')!r}\nexpected: an absolute path")
        if path in _RESERVED or path.startswith("/cloudbuild/"):
            self._error(at, f"{dotted(at)}.path {path} is Cloud Build's own")
        for other in others:
            if name == other.get("name") or path == posixpath.normpath(other.get("path", "")):
                self._error(at, f"{dotted(at)} is there twice, by name or path")

    def results(self) -> None:
        """Images and artifacts have names and places that can be."""
        artifacts = self._tree.get("artifacts", {})
        images = self._tree.get("images", [])
        if images and artifacts.get("images") and images != artifacts["images"]:
            self._error(("artifacts", "images"), "images and artifacts.images differ\nexpected: one of them")
        for index, tag in enumerate(self._tree.get("tags", [])):
            if tag and not _TAG.fullmatch(_stand_in(tag)):
                self._error(("tags", index), f"tags[{index}] is {tag!r}\nexpected: letters, digits, '_', '.' and '-'")
        for path, names in [(("images",), images), (("artifacts", "images"), artifacts.get("images", []))]:
            for index, name in enumerate(names):
                if why := _no_image(name):
                    self._error((*path, index), f"{dotted((*path, index))} {name!r} {why}")
        if "objects" in artifacts:
            self._objects(artifacts["objects"])
        for kind, needed in _PACKAGES.items():
            for index, package in enumerate(artifacts.get(kind, [])):
                if lacking := [name for name in needed if not package.get(name)]:
                    at: Path = ("artifacts", kind, index)
                    self._error(at, f"{dotted(at)} is not whole\nexpected: {' and '.join(lacking)}")

    def _objects(self, objects: dict[str, Any]) -> None:
        at: Path = ("artifacts", "objects")
        location = objects.get("location", "")
        if not location.startswith(("gs://", "$")):
            self._error((*at, "location"), f"artifacts.objects.location is {location!r}\nexpected: gs://bucket/folder")
        if not objects.get("paths"):
            self._error(at, "artifacts.objects names no paths")
        for index, path in enumerate(objects.get("paths", [])):
            if re.search(r"\s", path):
                self._error((*at, "paths", index), f"artifacts.objects.paths[{index}] has white space in it")
            if path in objects["paths"][:index]:
                self._error((*at, "paths", index), f"artifacts.objects.paths[{index}] {path!r} is there twice")

    def limits(self, steps: list[dict[str, Any]]) -> None:
        """The service's own limits."""
        counts: list[tuple[Path, int, int]] = [
            (("steps",), len(steps), MAX_STEPS),
            (("images",), len(self._tree.get("images", [])), MAX_ITEMS),
            (("tags",), len(self._tree.get("tags", [])), 64),
            (("substitutions",), len(self._tree.get("substitutions", {})), MAX_SUBSTITUTIONS),
        ]
        for index, step in enumerate(steps):
            counts += [(("steps", index, name), len(step.get(name, [])), MAX_ITEMS) for name in ("args", "env")]
            for each, code in enumerate(step.get("allowExitCodes", [])):
                if not 0 <= code <= MAX_EXIT_CODE:
                    where: Path = ("steps", index, "allowExitCodes", each)
                    self._error(where, f"{dotted(where)} is {code}\nexpected: 0 to {MAX_EXIT_CODE}")
            for each, argument in enumerate(step.get("args", [])):
                if len(argument) > MAX_ARGUMENT:
                    path: Path = ("steps", index, "args", each)
                    self._error(
                        path, f"{dotted(path)} has {len(argument):,} characters\nexpected: at most {MAX_ARGUMENT:,}"
                    )
        for path, count, limit in counts:
            if count > limit:
                self._error(path, f"{dotted(path)} has {count} entries\nexpected: at most {limit}")
        if self._options.get("diskSizeGb", 0) > MAX_DISK_GB:
            self._error(("options", "diskSizeGb"), f"options.diskSizeGb is more than {MAX_DISK_GB:,}")
        for key, value in self._tree.get("substitutions", {}).items():
            if len(value) > MAX_VALUE:
                self._error(("substitutions", key), f"substitutions.{key} is longer than {MAX_VALUE:,} characters")

    def service_account(self) -> None:
        """A build under an own service account has to say where its log goes."""
        destination = self._tree.get("logsBucket") or self._options.get("defaultLogsBucketBehavior")
        quiet = self._options.get("logging") in ("CLOUD_LOGGING_ONLY", "NONE")
        if self._tree.get("serviceAccount") and not destination and not quiet:
            self._findings.warning(
                self._document.line("serviceAccount"),
                "a build with a serviceAccount needs logsBucket, or options.logging: CLOUD_LOGGING_ONLY",
            )


def seconds(duration: str) -> float | None:
    """Returns a protobuf duration ("1200s") in seconds; None for anything else."""
    try:
        return float(duration.removesuffix("s")) if duration.endswith("s") else None
    except ValueError:
        return None


def _no_image(text: str) -> str:
    """Says why a text cannot be an image reference, whatever its substitutions are worth; empty if it can."""
    # The last of a digest is hexadecimal, which a stand-in is not.
    if "@$" in text or IMAGE.fullmatch(stood := _stand_in(text)):
        return ""
    capital = IMAGE.fullmatch(stood.lower())
    return "is no image reference" + ("\nfix: a repository has no capital letters" if capital else "")


def _stand_in(text: str) -> str:
    """Returns a text with something in place of each substitution."""
    for reference in reversed(list(expansion.references(text))):
        text = text[: reference.start] + ("x" if reference.key else "$") + text[reference.end :]
    return text


def _not_there(wanted: str, steps: list[dict[str, Any]], index: int) -> str:
    later = any(step.get("id") == wanted for step in steps[index:])
    close = difflib.get_close_matches(wanted, [each.get("id", "") for each in steps[:index]], n=1, cutoff=0.6)
    why = "which comes later" if later else "which is the id of no step"
    why += f"; did you mean {close[0]!r}?" if close and not later else ""
    return f"steps[{index}].waitFor names {wanted!r}, {why}\nexpected: ids of earlier steps, or '-' to wait for nothing"
