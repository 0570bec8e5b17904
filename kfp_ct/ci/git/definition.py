"""Build triggers as `gcloud builds triggers import` takes them, and which pushes and pull requests they are for.

https://cloud.google.com/build/docs/api/reference/rest/v1/projects.triggers
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from kfp_ct.base import globs
from kfp_ct.ci.cloudbuild.document import read
from kfp_ct.ci.cloudbuild.problems import Findings, refuse

DEFAULT_CONFIG = "cloudbuild.yaml"


@dataclasses.dataclass(frozen=True)
class Trigger:
    """One trigger.

    Attributes:
        config: Build configuration in the repository.
        branch: Regular expression for branches; empty if it is not for branches.
        tag: Regular expression for tags; empty if it is not for tags.
        pull_request: Regular expression for the branch that a pull request is for; empty if it is for none.
        inverted: Whether it is for what does not match.
        included: Globs of files of which one must have changed; empty for any.
        ignored: Globs of files whose change alone is no reason.
        needs_approval: Whether a person has to agree before a build begins.
    """

    name: str
    config: str
    branch: str
    tag: str
    pull_request: str
    inverted: bool
    included: tuple[str, ...]
    ignored: tuple[str, ...]
    substitutions: dict[str, str]
    disabled: bool = False
    needs_approval: bool = False

    def matches(self, ref: str, changed: Sequence[str]) -> bool:
        """Whether a push is for this trigger.

        Args:
            ref: Such as refs/heads/main or refs/tags/v1; refs/for/main of a pull request for main.
            changed: Files that the push changes, relative to the repository; empty where that is not known.
        """
        kind, _, name = ref.removeprefix("refs/").partition("/")
        pattern = {"heads": self.branch, "tags": self.tag, "for": self.pull_request}.get(kind, "")
        if self.disabled or not pattern or bool(re.search(pattern, name)) == self.inverted:
            return False
        return self._is_about(changed)

    def _is_about(self, changed: Sequence[str]) -> bool:
        if not changed:
            return True
        left = [file for file in changed if not any(globs.expression(glob).fullmatch(file) for glob in self.ignored)]
        if not left:
            return False
        return not self.included or any(
            globs.expression(glob).fullmatch(file) for glob in self.included for file in left
        )


def parse(text: str, path: str) -> Trigger:
    """Reads a trigger file.

    Raises:
        InvalidBuildError: It is not what gcloud would import, or is for neither pushes nor pull requests.
    """
    from google.cloud.devtools.cloudbuild_v1.types import cloudbuild

    findings = Findings()
    document = read(text, cloudbuild.BuildTrigger.pb().DESCRIPTOR, findings)
    tree = document.tree
    event, request = _event(tree)
    if not findings.errors:
        if not tree.get("name"):
            findings.error(1, "the trigger has no name")
        for field, pattern in [(name, value) for each in (event, request) for name, value in each.items()]:
            if field in ("branch", "tag") and (problem := _mistake(pattern)):
                findings.error(1, f"{field} {pattern!r} is no regular expression: {problem}")
        if "build" in tree:
            findings.error(document.line("build"), "an inline build is not run here\nexpected: filename")
    if findings.errors:
        raise refuse(path, findings.errors)
    return Trigger(
        name=tree["name"],
        config=tree.get("filename") or tree.get("gitFileSource", {}).get("path") or DEFAULT_CONFIG,
        branch=event.get("branch", event.get("branchName", "")),
        tag=event.get("tag", event.get("tagName", "")),
        pull_request=request.get("branch", ""),
        inverted=bool((event or request).get("invertRegex")),
        included=tuple(tree.get("includedFiles", [])),
        ignored=tuple(tree.get("ignoredFiles", [])),
        substitutions=tree.get("substitutions", {}),
        disabled=bool(tree.get("disabled")),
        needs_approval=bool(tree.get("approvalConfig", {}).get("approvalRequired")),
    )


def _event(tree: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns which pushes it is for, and which pull requests; it has one of them."""
    for source in ("github", "repositoryEventConfig"):
        if source in tree:
            return dict(tree[source].get("push", {})), dict(tree[source].get("pullRequest", {}))
    return dict(tree.get("triggerTemplate", {})), {}


def _mistake(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return ""
