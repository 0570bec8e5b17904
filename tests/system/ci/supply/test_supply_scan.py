"""What is known of installed packages is found by version, judged by the policy, and never green for nothing."""

import contextlib
import datetime
import http.server
import json
import threading
import zipfile

import pytest
import yaml

from ct_command import ct
from kfp_ct.base.errors import UsageError
from kfp_ct.ci.supply import advisories, policy, sbom
from kfp_ct.ci.supply.advisories import Folder, Service
from kfp_ct.ci.supply.sbom import Installed
from repository import ROOT

TODAY = datetime.date(2026, 11, 25)
JINJA = Installed("PyPI", "jinja2", "3.1.2")
XZ = Installed("Debian:13", "xz-utils", "5.6.0-0.2")
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
HIGH = "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
FOUND = {"system": {"id": "debian", "version": "13"}}


def record(identifier, package, *events, **more):
    affected = {"package": {"ecosystem": package.ecosystem, "name": package.name}}
    if events:
        affected["ranges"] = [{"type": "ECOSYSTEM", "events": [dict([event]) for event in events]}]
    affected |= more.pop("affected", {})
    return {"id": identifier, "modified": f"{TODAY}T00:00:00Z", "affected": [affected], **more}


def critical(package, fixed="9"):
    events = [("introduced", "0"), *([("fixed", fixed)] if fixed else [])]
    return record("GHSA-1", package, *events, aliases=["CVE-2026-1"], severity=[{"type": "CVSS_V3", "score": CRITICAL}])


@pytest.mark.parametrize(
    ("package", "events", "affected"),
    [
        (JINJA, [("introduced", "0"), ("fixed", "3.1.6")], True),
        (JINJA, [("introduced", "0"), ("fixed", "3.1.2")], False),
        (JINJA, [("introduced", "3.1.3")], False),
        (JINJA, [("introduced", "0"), ("last_affected", "3.1.2")], True),
        (JINJA, [("introduced", "0"), ("last_affected", "3.1.1")], False),
        (JINJA, [("introduced", "3.1.10"), ("fixed", "3.1.11"), ("introduced", "0"), ("fixed", "3.0")], False),
        (Installed("PyPI", "jinja2", "3.1.6rc1"), [("introduced", "0"), ("fixed", "3.1.6")], True),
        (XZ, [("introduced", "0"), ("fixed", "5.6.1+really5.4.5-1")], True),
        (Installed("Debian:13", "a", "1:2.10-1"), [("introduced", "0"), ("fixed", "1:2.9-1")], False),
        (Installed("Debian:13", "a", "2.0~rc1-1"), [("introduced", "0"), ("fixed", "2.0-1")], True),
        (Installed("Debian:13", "a", "2.0-1+deb13u1"), [("introduced", "0"), ("fixed", "2.0-1+deb13u2")], True),
    ],
)
def test_a_version_is_within_a_range_as_its_ecosystem_orders_versions(package, events, affected):
    assert advisories.affects(record("X", package, *events), package) is affected


def test_a_version_that_is_listed_is_affected_and_another_package_is_not():
    listed = record("X", JINJA, affected={"versions": ["3.1.2"]})
    assert advisories.affects(listed, JINJA)
    assert not advisories.affects(listed, Installed("PyPI", "jinja", "3.1.2"))
    assert advisories.affects(record("X", Installed("PyPI", "Jinja2", ""), ("introduced", "0")), JINJA)


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ({"severity": [{"type": "CVSS_V3", "score": CRITICAL}]}, "critical"),
        ({"severity": [{"type": "CVSS_V4", "score": HIGH}]}, "high"),
        ({"severity": [{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:P/I:P/A:P"}]}, "high"),
        ({"severity": [{"type": "CVSS_V3", "score": "nonsense"}]}, "unknown"),
        ({"database_specific": {"severity": "MODERATE"}}, "medium"),
        ({"affected": {"ecosystem_specific": {"urgency": "unimportant"}}}, "low"),
        ({"affected": {"ecosystem_specific": {"urgency": "not yet assigned"}}}, "unknown"),
        ({}, "unknown"),
    ],
)  # fmt: skip
def test_severity_is_the_worst_that_is_said(more, severity):
    assert advisories.severity(record("X", JINJA, **more), JINJA) == severity


class Given:
    name, known = "given", {}

    def __init__(self, *found):
        self.found = found

    def records(self, packages):
        return iter(self.found)


def test_one_thing_under_several_names_is_one_match_with_the_nearest_fix():
    ghsa = critical(JINJA, "3.1.6")
    pysec = record("PYSEC-1", JINJA, ("introduced", "0"), ("fixed", "3.1.5"), aliases=["GHSA-1"])
    debian = record("DEBIAN-CVE-2026-1", JINJA, ("introduced", "0"), upstream=["CVE-2026-1"])
    gone = {**record("GHSA-2", JINJA), "withdrawn": "2026-01-01T00:00:00Z"}
    (match,) = advisories.matches([JINJA], Given(*((JINJA, each) for each in (pysec, debian, gone, ghsa))))
    assert match.ids == ("CVE-2026-1", "DEBIAN-CVE-2026-1", "GHSA-1", "PYSEC-1")
    assert (match.severity, match.fixed) == ("critical", "3.1.5")


RULES = {
    "fail_from": {"fixable": "high", "unfixable": "critical"},
    "unknown_counts_as": "high",
    "max_age_days": 0,
    "exceptions": [],
}
EXCEPTION = {"id": "GHSA-1", "expires": TODAY, "reason": "not reached"}


def rules(path, **more):
    file = path / "policy.yaml"
    file.write_text(yaml.safe_dump({**RULES, **more}))
    return policy.load(file)


@pytest.mark.parametrize(
    ("severity", "fixed", "exceptions", "fails", "why"),
    [
        ("high", "2", [], True, "fixed in 2"),
        ("medium", "2", [], False, "below what fails"),
        ("unknown", "2", [], True, "fixed in 2"),
        ("high", "", [], False, "nothing fixes it yet"),
        ("critical", "", [], True, "nothing fixes it yet"),
        ("high", "2", [EXCEPTION], False, "accepted until 2026-11-25: not reached"),
        ("high", "2", [{**EXCEPTION, "package": "jinja2"}], False, "accepted until 2026-11-25: not reached"),
        ("high", "2", [{**EXCEPTION, "package": "other"}], True, "fixed in 2"),
        (
            "high",
            "2",
            [{**EXCEPTION, "expires": datetime.date(2026, 11, 24)}],
            True,
            "fixed in 2; its exception expired on 2026-11-24",
        ),
    ],
)
def test_the_policy_decides(tmp_path, severity, fixed, exceptions, fails, why):
    match = advisories.Match(JINJA, ("CVE-2026-1", "GHSA-1"), severity, fixed, "")
    assert policy.judge(rules(tmp_path, exceptions=exceptions), match, TODAY) == policy.Verdict(fails, why)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"fail_from": {"fixable": "high"}}, "lacks unfixable"),
        ({"fail_from": {"fixable": "hihg", "unfixable": "never"}}, "expected: one of low, medium, high, critical"),
        ({"excepitons": []}, "has excepitons"),
        ({"max_age_days": "30"}, "a number of days"),
        ({"exceptions": [{"id": "X", "reason": "y"}]}, "lacks expires"),
        ({"exceptions": [{**EXCEPTION, "reason": " "}]}, "has no reason"),
        ({"exceptions": [{**EXCEPTION, "expires": "soon"}]}, "a day such as 2026-12-31"),
    ],
)
def test_a_policy_that_is_not_whole_is_refused(tmp_path, more, message):
    with pytest.raises(UsageError, match=message):
        rules(tmp_path, **more)


def test_this_projects_policy_fails_what_a_version_fixes():
    assert policy.load(ROOT / "infra/scan-policy.yaml").fixable == "critical"


class Place:
    """A folder with bills of materials, advisories and a policy, and what `ct images scan` says of them."""

    def __init__(self, path):
        self.path, self.report = path, path / "scan.json"
        (path / "advisories").mkdir()
        (path / "sbom").mkdir()
        self.bom("app", [{"name": "Jinja2", "version": "3.1.2", "licence": "BSD"}])
        self.rules()

    def bom(self, name, python):
        text = sbom.document(
            name, f"r/{name}@sha256:{'1' * 64}", {**FOUND, "python": python, "debian": []}, "2026-11-25T10:00:00Z"
        )
        (self.path / "sbom" / f"{name}.cdx.json").write_text(text)

    def rules(self, **more):
        (self.path / "policy.yaml").write_text(yaml.safe_dump({**RULES, **more}))

    def know(self, *records):
        for each in records:
            (self.path / "advisories" / f"{each['id']}.json").write_text(json.dumps(each))

    def scan(self, *options):
        options = options or ("--advisories", str(self.path / "advisories"))
        files = ("--sboms", str(self.path / "sbom"), "--policy", str(self.path / "policy.yaml"))
        return ct(self.path, "images", "scan", *files, *options, "--output", str(self.report))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_vulnerable_package_fails_the_scan_and_an_exception_accepts_it_until_its_day(place):
    place.know(critical(JINJA, "3.1.6"))
    refused = place.scan()
    assert refused.code == 4
    assert "FAILS: jinja2 3.1.2: CVE-2026-1, critical (fixed in 3.1.6)" in refused.err
    report = json.loads(place.report.read_text())
    assert report["passed"] is False
    assert report["images"]["app"]["examined"] == {"PyPI": 1}

    place.rules(exceptions=[{**EXCEPTION, "expires": datetime.date(2999, 1, 1)}, {**EXCEPTION, "id": "CVE-2000-1"}])
    accepted = place.scan()
    assert accepted.code == 0, accepted.err
    assert "ok: jinja2 3.1.2: CVE-2026-1, critical (accepted until 2999-01-01: not reached)" in accepted.out
    assert "the exception for CVE-2000-1 is for nothing that was found" in accepted.out
    assert "(1 for PyPI)" in accepted.out
    assert json.loads(place.report.read_text())["passed"] is True


def test_what_nobody_examined_is_not_green(place):
    empty = place.scan()
    assert empty.code == 6
    assert "has no advisory for PyPI: nothing was examined" in empty.err
    place.know(critical(XZ))
    assert place.scan().code == 6, "Debian's advisories say nothing of PyPI's packages"
    assert not place.report.exists()
    nobody = place.scan("--osv", "http://127.0.0.1:9")
    assert nobody.code == 6
    assert "give --advisories a folder" in nobody.err
    (place.path / "advisories" / "broken.json").write_text("{}")
    assert place.scan().code == 6


def test_a_bill_of_nothing_fails(place):
    bill = place.path / "sbom" / "app.cdx.json"
    tree = json.loads(bill.read_text())
    bill.write_text(json.dumps({**tree, "components": []}))
    place.know(critical(JINJA))
    assert place.scan().code == 4
    bill.write_text("{}")
    assert place.scan().code == 4
    bill.unlink()
    assert place.scan().code == 2, "zero images"


def test_advisories_that_are_too_old_are_no_source(place):
    place.know({**critical(JINJA), "modified": "2020-01-01T00:00:00Z"})
    place.rules(max_age_days=30)
    old = place.scan()
    assert old.code == 6
    assert "is of 2020-01-01" in old.err


def test_an_archive_as_osv_publishes_it_is_read(place):
    with zipfile.ZipFile(place.path / "advisories" / "all.zip", "w") as archive:
        archive.writestr("GHSA-1.json", json.dumps(critical(JINJA)))
    assert place.scan().code == 4


@contextlib.contextmanager
def service(known):
    """OSV's API over some records: one result a page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            self.answer({"results": [self.page(query) for query in queries]})

        def page(self, query):
            package = Installed(query["package"]["ecosystem"], query["package"]["name"], query["version"])
            found = [each["id"] for each in known if advisories.affects(each, package)]
            start = int(query.get("page_token", 0))
            more = {"next_page_token": str(start + 1)} if start + 1 < len(found) else {}
            return {"vulns": [{"id": found[start]}], **more} if found else {}

        def do_GET(self):
            self.answer(next(each for each in known if each["id"] == self.path.rpartition("/")[2]))

        def answer(self, tree):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(tree).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_service_says_what_a_folder_of_the_same_advisories_says(place):
    other = record("GHSA-2", JINJA, ("introduced", "0"))
    place.know(critical(JINJA), other)
    packages = [JINJA, Installed("PyPI", "flask", "3")]
    with service([critical(JINJA), other]) as url:
        found = advisories.matches(packages, Service(url))
        assert found == advisories.matches(packages, Folder(place.path / "advisories"))
        assert [match.ids[0] for match in found] == ["CVE-2026-1", "GHSA-2"]
        assert place.scan("--osv", url).code == 4
    with service([]) as url:
        assert place.scan("--osv", url).code == 0
