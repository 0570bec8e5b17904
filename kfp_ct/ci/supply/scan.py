"""Holds bills of materials against advisories and a policy."""

import collections
import dataclasses
import datetime
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import CtError
from kfp_ct.ci.supply import advisories, policy, sbom
from kfp_ct.ci.supply.advisories import Match, Source
from kfp_ct.ci.supply.policy import Policy, Verdict
from kfp_ct.data import layouts


class VulnerableError(CtError):
    """An image has something in it that the policy does not accept."""

    exit_code = 4


@dataclasses.dataclass(frozen=True)
class Scanned:
    """One image: how many packages of which ecosystem were examined, and what is known of them."""

    reference: str
    examined: dict[str, int]
    found: list[tuple[Match, Verdict]]

    @property
    def failing(self) -> list[tuple[Match, Verdict]]:
        """What the policy does not accept."""
        return [(match, verdict) for match, verdict in self.found if verdict.fails]


def scan(folder: Path, rules: Policy, source: Source, today: datetime.date) -> dict[str, Scanned]:
    """Examines every bill of materials in a folder; returns each image's result by name.

    Raises:
        UsageError: There is none.
        SbomError: One has nothing in it.
        UnscannedError: The source cannot say.
    """
    done = {}
    for path in sbom.files(folder):
        reference, packages = sbom.read(path)
        found = [(each, policy.judge(rules, each, today)) for each in advisories.matches(packages, source)]
        examined = dict(collections.Counter(package.ecosystem for package in packages))
        done[path.name.removesuffix(sbom.SUFFIX)] = Scanned(reference, examined, found)
    return done


def account(done: dict[str, Scanned], rules: Policy, source: Source) -> dict[str, Any]:
    """Returns the machine-readable account of a scan."""
    return {
        "source": source.name,
        "advisories": source.known,
        "passed": not any(each.failing for each in done.values()),
        "unused_exceptions": policy.unused(rules, [match for each in done.values() for match, _ in each.found]),
        "images": {
            name: {
                "image": each.reference,
                "examined": each.examined,
                "found": [
                    {**dataclasses.asdict(match), **dataclasses.asdict(verdict)} for match, verdict in each.found
                ],
            }
            for name, each in done.items()
        },
    }


def report(folder: Path, policy_file: Path, source: Source, output: Path) -> list[str]:
    """Scans, writes the account, and returns it in words.

    Raises:
        VulnerableError: The policy does not accept what was found; the account is written all the same.
    """
    rules = policy.load(policy_file)
    done = scan(folder, rules, source, datetime.datetime.now(datetime.UTC).date())
    told = account(done, rules, source)
    layouts.write_json(output, told)
    lines = [line for name, each in done.items() for line in _words(name, each)]
    lines += [f"the exception for {each} is for nothing that was found" for each in told["unused_exceptions"]]
    failing = sum(len(each.failing) for each in done.values())
    if failing:
        raise VulnerableError("\n".join([f"{failing} known vulnerabilities are not accepted by {policy_file}", *lines]))
    known = ", ".join(f"{count:,} for {ecosystem}" for ecosystem, count in sorted(source.known.items()))
    against = f"{source.name} ({known})" if known else source.name
    return [*lines, f"{len(done)} images held against {against}: nothing that fails {policy_file}"]


def _words(name: str, scanned: Scanned) -> list[str]:
    counted = ", ".join(f"{count} of {ecosystem}" for ecosystem, count in sorted(scanned.examined.items()))
    lines = [f"{name}: {counted} examined, {len(scanned.found)} known to be vulnerable, {len(scanned.failing)} fail"]
    for match, verdict in scanned.found:
        mark = "FAILS" if verdict.fails else "ok"
        what = f"{match.package.name} {match.package.version}: {match.ids[0]}, {match.severity}"
        lines.append(f"  {mark}: {what} ({verdict.why})")
    return lines
