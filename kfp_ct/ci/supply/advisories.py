"""What is known to be wrong with installed packages: advisories in OSV's format, from a folder or from its service.

https://ossf.github.io/osv-schema. A source that does not answer, or knows nothing of an ecosystem, is an error of its
own kind: what nobody looked at is not in order.
"""

import dataclasses
import datetime
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import requests

from kfp_ct.base.errors import CtError
from kfp_ct.ci.supply.sbom import Installed
from kfp_ct.ci.supply.version_order import order, within

SERVICE = "https://api.osv.dev"
SEVERITIES = ("low", "medium", "high", "critical")
UNKNOWN = "unknown"
_BATCH = 500
_TIMEOUT = 60

Record = dict[str, Any]


class UnscannedError(CtError):
    """There is nothing to hold the packages against: they were not examined, which is neither good nor bad."""

    exit_code = 6


@dataclasses.dataclass(frozen=True)
class Match:
    """An advisory for an installed package; `fixed` is the nearest version that fixes it, empty if there is none."""

    package: Installed
    ids: tuple[str, ...]
    severity: str
    fixed: str
    summary: str


class Source(Protocol):
    """Where advisories come from."""

    @property
    def name(self) -> str:
        """What the account of a scan calls it."""

    @property
    def known(self) -> dict[str, int]:
        """Ecosystem to number of advisories, once it was asked; empty where that is not known."""

    def records(self, packages: list[Installed]) -> Iterator[tuple[Installed, Record]]:
        """Yields each advisory that is for one of the packages.

        Raises:
            UnscannedError: The source cannot say.
        """


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder of JSON files, or of zip archives of them such as osv.dev publishes by ecosystem (PyPI/all.zip).

    Attributes:
        path: The folder.
        max_age_days: How old the newest advisory of an ecosystem may be; 0 for any age.
        known: Ecosystem to number of advisories, once it was asked.
    """

    path: Path
    max_age_days: int = 0
    known: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the account of a scan calls this source."""
        return f"advisories in {self.path}"

    def records(self, packages: list[Installed]) -> Iterator[tuple[Installed, Record]]:
        """Yields each advisory that is for one of the packages, by its versions."""
        by_name: dict[tuple[str, str], list[Installed]] = {}
        for package in packages:
            by_name.setdefault((package.ecosystem, package.name), []).append(package)
        newest: dict[str, str] = {}
        self.known.clear()
        found: list[tuple[Installed, Record]] = []
        for record in _read(self.path):
            for key in {_key(affected) for affected in record.get("affected", [])}:
                self.known[key[0]] = self.known.get(key[0], 0) + 1
                newest[key[0]] = max(newest.get(key[0], ""), str(record.get("modified", "")))
                found += [(each, record) for each in by_name.get(key, []) if affects(record, each)]
        self._require({package.ecosystem for package in packages}, newest)
        yield from found

    def _require(self, ecosystems: set[str], newest: dict[str, str]) -> None:
        if missing := sorted(ecosystems - set(newest)):
            raise UnscannedError(
                f"{self.path} has no advisory for {', '.join(missing)}: nothing was examined\n"
                f"fix: put OSV's files for {missing[0]} there, such as its all.zip"
            )
        oldest = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=self.max_age_days)).isoformat()
        for ecosystem in sorted(ecosystems):
            if self.max_age_days and newest[ecosystem] < oldest:
                raise UnscannedError(
                    f"the newest advisory for {ecosystem} in {self.path} is of {newest[ecosystem][:10] or 'no date'}\n"
                    f"expected: one of the last {self.max_age_days} days (max_age_days of the policy)"
                )


@dataclasses.dataclass(frozen=True)
class Service:
    """OSV's own service, which knows PyPI's and Debian's advisories."""

    url: str = SERVICE

    @property
    def name(self) -> str:
        """What the account of a scan calls this source."""
        return self.url

    @property
    def known(self) -> dict[str, int]:
        """It does not say how many it knows."""
        return {}

    def records(self, packages: list[Installed]) -> Iterator[tuple[Installed, Record]]:
        """Asks which advisories are for which package, then for each of those."""
        details: dict[str, Record] = {}
        for start in range(0, len(packages), _BATCH):
            for package, identifier in self._ids(packages[start : start + _BATCH]):
                if identifier not in details:
                    details[identifier] = self._ask("GET", f"/v1/vulns/{identifier}")
                yield package, details[identifier]

    def _ids(self, packages: list[Installed]) -> Iterator[tuple[Installed, str]]:
        waiting = [(package, "") for package in packages]
        while waiting:
            queries = [_query(package, token) for package, token in waiting]
            results = self._ask("POST", "/v1/querybatch", {"queries": queries}).get("results", [])
            if len(results) != len(waiting):
                raise UnscannedError(f"{self.url} answered {len(results)} of {len(waiting)} questions")
            asked, waiting = waiting, []
            for (package, _), result in zip(asked, results, strict=True):
                yield from ((package, str(each["id"])) for each in result.get("vulns", []))
                if token := result.get("next_page_token"):
                    waiting.append((package, token))

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            answer = requests.request(method, self.url.rstrip("/") + path, json=body, timeout=_TIMEOUT)
            answer.raise_for_status()
            return answer.json()
        except (requests.RequestException, ValueError) as error:
            raise UnscannedError(
                f"{self.url} does not say what is known of the packages: {error}\n"
                "fix: reach it, or give --advisories a folder of OSV's files"
            ) from error


def matches(packages: list[Installed], source: Source) -> list[Match]:
    """Returns what is known to be wrong with packages; one thing under several names is one match."""
    groups: dict[Installed, list[tuple[set[str], list[Record]]]] = {}
    for package, record in source.records(packages):
        if record.get("withdrawn"):
            continue
        names = {record["id"], *record.get("aliases", []), *record.get("upstream", [])}
        mine = groups.setdefault(package, [])
        same = [group for group in mine if group[0] & names]
        mine[:] = [group for group in mine if group not in same]
        mine.append((names.union(*(group[0] for group in same)), [record, *(r for group in same for r in group[1])]))
    found = [_match(package, *group) for package, mine in groups.items() for group in mine]
    return sorted(found, key=lambda each: (-_rank(each.severity), each.package.name, each.ids))


def affects(record: Record, package: Installed) -> bool:
    """Says whether an advisory is for this version, as OSV's schema has it."""
    return any(
        package.version in affected.get("versions", [])
        or any(within(span, package) for span in affected.get("ranges", []) if span.get("type") != "GIT")
        for affected in _affected(record, package)
    )


def severity(record: Record, package: Installed) -> str:
    """Returns the highest severity an advisory gives: by CVSS, by its database, or by Debian's urgency."""
    mine = _affected(record, package)
    scores = [*record.get("severity", []), *(each for part in mine for each in part.get("severity", []))]
    words = [_rated(str(each.get("score", ""))) for each in scores]
    words += [str(each.get("database_specific", {}).get("severity", "")) for each in [record, *mine]]
    words += [str(each.get("ecosystem_specific", {}).get("urgency", "")) for each in mine]
    words = [{"moderate": "medium", "unimportant": "low", "none": "low"}.get(w.lower(), w.lower()) for w in words]
    return max((word for word in words if word in SEVERITIES), key=_rank, default=UNKNOWN)


def _match(package: Installed, names: set[str], records: list[Record]) -> Match:
    # A CVE is what people look for.
    ids = tuple(sorted(names, key=lambda name: (not name.startswith("CVE-"), name)))
    key = order(package.ecosystem)
    fixes = {fix for record in records for fix in _fixes(record, package)}
    worst = max((severity(record, package) for record in records), key=_rank)
    summary = next((str(each["summary"]) for each in records if each.get("summary")), "")
    return Match(package, ids, worst, min(fixes, key=key, default=""), summary)


def _fixes(record: Record, package: Installed) -> Iterator[str]:
    key = order(package.ecosystem)
    for affected in _affected(record, package):
        for span in affected.get("ranges", []):
            if span.get("type") != "GIT":
                fixed = [str(event["fixed"]) for event in span.get("events", []) if "fixed" in event]
                yield from (each for each in fixed if key(each) > key(package.version))


def _rated(vector: str) -> str:
    from cvss import CVSS2, CVSS3, CVSS4
    from cvss.exceptions import CVSSError

    kind = CVSS4 if vector.startswith("CVSS:4") else CVSS3 if vector.startswith("CVSS:3") else CVSS2
    try:
        rated = kind(vector)
    except CVSSError:
        return ""
    return str(rated.severity if kind is CVSS4 else rated.severities()[0])


def _rank(word: str) -> int:
    return SEVERITIES.index(word) if word in SEVERITIES else -1


def _affected(record: Record, package: Installed) -> list[Record]:
    mine = (package.ecosystem, package.name)
    return [affected for affected in record.get("affected", []) if _key(affected) == mine]


def _key(affected: Record) -> tuple[str, str]:
    from packaging.utils import canonicalize_name

    package = affected.get("package", {})
    ecosystem, name = str(package.get("ecosystem", "")), str(package.get("name", ""))
    return ecosystem, canonicalize_name(name) if ecosystem == "PyPI" else name


def _query(package: Installed, token: str) -> Record:
    query: Record = {"package": {"ecosystem": package.ecosystem, "name": package.name}, "version": package.version}
    return {**query, "page_token": token} if token else query


def _read(folder: Path) -> Iterator[Record]:
    for path in sorted(folder.rglob("*")):
        try:
            if path.suffix == ".json":
                yield _record(path.read_bytes())
            elif path.suffix == ".zip":
                yield from _unzipped(path)
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UnscannedError(f"{path} holds no advisories in OSV's format: {error}") from error


def _unzipped(path: Path) -> Iterable[Record]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield _record(archive.read(name))


def _record(text: bytes) -> Record:
    record = json.loads(text)
    if not isinstance(record, dict) or "id" not in record:
        raise ValueError("an advisory is a mapping with an id")
    return record
