"""What a scan may find: infra/scan-policy.yaml."""

import dataclasses
import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from kfp_ct.base.errors import UsageError
from kfp_ct.ci.supply.advisories import SEVERITIES, UNKNOWN, Match

NEVER = "never"


@dataclasses.dataclass(frozen=True)
class Exemption:
    """One advisory that is accepted, for a reason and until a day; for one package, or for all."""

    id: str
    reason: str
    expires: datetime.date
    package: str = ""

    def covers(self, match: Match) -> bool:
        """Whether a match is the one it is about."""
        return self.id in match.ids and self.package in ("", match.package.name)


@dataclasses.dataclass(frozen=True)
class Policy:
    """From which severity on a match fails the build.

    Attributes:
        fixable: Where a version fixes it; `never` for none.
        unfixable: Where none does.
        unknown: What an advisory without a severity counts as.
        max_age_days: How old the newest advisory of a folder may be; 0 for any age.
        exemptions: What is accepted.
    """

    fixable: str
    unfixable: str
    unknown: str
    max_age_days: int
    exemptions: tuple[Exemption, ...]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the policy says of one match."""

    fails: bool
    why: str


def load(path: Path) -> Policy:
    """Reads a policy.

    Raises:
        UsageError: It cannot be read, lacks something, or has a field that there is not.
    """
    try:
        tree = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is no scan policy: {error}") from error
    fields = _fields(path, tree, {"fail_from", "unknown_counts_as", "max_age_days", "exceptions"})
    levels = _fields(f"{path}: fail_from", fields["fail_from"], {"fixable", "unfixable"})
    for where, word in [*levels.items(), ("unknown_counts_as", fields["unknown_counts_as"])]:
        if word not in (*SEVERITIES, NEVER):
            raise UsageError(f"{path}: {where} is {word!r}\nexpected: one of {', '.join((*SEVERITIES, NEVER))}")
    if type(fields["max_age_days"]) is not int or fields["max_age_days"] < 0:
        raise UsageError(f"{path}: max_age_days is {fields['max_age_days']!r}\nexpected: a number of days, 0 for any")
    exemptions = tuple(_exemption(path, each) for each in fields["exceptions"] or [])
    return Policy(
        levels["fixable"], levels["unfixable"], fields["unknown_counts_as"], fields["max_age_days"], exemptions
    )


def judge(policy: Policy, match: Match, today: datetime.date) -> Verdict:
    """Says whether a match fails the build, and why or why not."""
    severity = policy.unknown if match.severity == UNKNOWN else match.severity
    least = policy.fixable if match.fixed else policy.unfixable
    if NEVER in (severity, least) or SEVERITIES.index(severity) < SEVERITIES.index(least):
        return Verdict(False, "below what fails" if match.fixed else "nothing fixes it yet")
    covering = [each for each in policy.exemptions if each.covers(match)]
    if valid := [each for each in covering if each.expires >= today]:
        return Verdict(False, f"accepted until {valid[0].expires}: {valid[0].reason}")
    fixed = f"fixed in {match.fixed}" if match.fixed else "nothing fixes it yet"
    expired = f"; its exception expired on {covering[0].expires}" if covering else ""
    return Verdict(True, f"{fixed}{expired}")


def unused(policy: Policy, found: Iterable[Match]) -> list[str]:
    """Returns the advisories that are accepted and were not found: their exceptions can go."""
    found = list(found)
    return [each.id for each in policy.exemptions if not any(each.covers(match) for match in found)]


def _exemption(path: Path, tree: Any) -> Exemption:
    where = f"{path}: an exception"
    fields = _fields(
        where, {"package": "", **tree} if isinstance(tree, dict) else tree, {"id", "reason", "expires", "package"}
    )
    if not isinstance(fields["expires"], datetime.date):
        raise UsageError(f"{where} expires {fields['expires']!r}\nexpected: a day such as 2026-12-31")
    if not str(fields["reason"] or "").strip():
        raise UsageError(f"{where} for {fields['id']} has no reason\nexpected: why it is accepted")
    return Exemption(str(fields["id"]), str(fields["reason"]), fields["expires"], str(fields["package"]))


def _fields(where: object, tree: Any, names: set[str]) -> dict[str, Any]:
    found = set(tree) if isinstance(tree, dict) else set()
    if found != names:
        missing, unknown = sorted(names - found), sorted(map(str, found - names))
        what = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}"
        raise UsageError(f"{where} {what}\nexpected: {', '.join(sorted(names))}")
    return dict(tree)
