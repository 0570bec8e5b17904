"""Every page of the endpoint's UI over a state that has something of everything; no name in it becomes markup."""

import ast
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import endpoint_home
from kfp_ct.data import layouts
from kfp_ct.endpoint.store import folders
from kfp_ct.endpoint.ui import response
from kfp_ct.endpoint.ui.addresses import url
from kfp_ct.runs import record
from repository import ROOT

ENDPOINT = ROOT / "kfp_ct" / "endpoint"
# Each breaks out of another place: text, an attribute of either quote, a raw element, an address, a template.
PLANTED = {
    "tags": """"'><img src=x onerror=planted()><h1 planted>""",
    "ends": "</title></textarea></pre></svg></script><script>planted()</script>",
    "attributes and templates": """" onfocus="planted()" x=' {{ 7 * 7 }}{% planted %}""",
    "addresses and entities": "javascript:planted()//../../?a=1&lt;b planted&gt;#z--><!--",
    "other scripts": "名前 “עברית” 🙂",
}


class Structure(HTMLParser):
    """The elements of a page with the names of their attributes, and what is in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements, self.attributes, self.texts = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, sorted(name for name, _ in attrs)))
        self.attributes += attrs

    def handle_endtag(self, tag):
        self.elements.append((f"/{tag}", []))

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.elements.append(("comment", []))

    def unknown_decl(self, data):
        self.elements.append(("declaration", []))

    def values(self, *names: str) -> list[str]:
        return [value for name, value in self.attributes if name in names]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = endpoint_home.make(tmp_path_factory.mktemp("plain"))
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def pages(home):
    """What the endpoint answers to each address, by label."""
    places = endpoint_home.addresses(home)
    return dict(zip(places, endpoint_home.get(home, *places.values()), strict=True))


def test_every_page_renders(pages):
    expected = {label: 404 if label == "refusal" else 200 for label in pages}
    assert {label: answer.status_code for label, answer in pages.items()} == expected
    assert [label for label, answer in pages.items() if not 1000 < len(answer.content) < 35_000] == []


def test_every_template_is_rendered_by_these_tests(pages):
    response.page("mlflow.html", live=True)
    rendered = {name for _, name in response.environment().cache}
    assert sorted({path.name for path in response.TEMPLATES.iterdir()} - rendered) == []


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_no_name_becomes_markup(tmp_path, pages, planted):
    hostile = endpoint_home.make(tmp_path, lambda name: f"{name}{planted}")
    places = endpoint_home.addresses(hostile)
    answers = dict(zip(places, endpoint_home.get(hostile, *places.values()), strict=True))
    hostile.database.close()
    for label, answer in answers.items():
        plain, found = Structure(pages[label].text), Structure(answer.text)
        assert found.elements == plain.elements, label
        assert [name for name, _ in found.attributes if name.startswith("on") or name == "planted"] == [], label
        leading = [each for each in found.values("href", "action", "src") if not each.startswith(("/", "#"))]
        assert set(leading) <= {"https://example.org", "https://example.org/commit/0123"}, label
    # It is there, as the text it is.
    assert any(planted in text for text in Structure(answers["run that is failed"].text).texts)
    assert planted in "".join(Structure(answers["new run"].text).values("value", "name"))


def test_pages_have_no_scripts_and_no_styles_of_their_own(pages):
    for label, answer in pages.items():
        found = Structure(answer.text)
        assert [tag for tag, names in found.elements if tag == "style" or "style" in names] == [], label
        assert [(tag, names) for tag, names in found.elements if tag == "script"] == [("script", ["defer", "src"])], (
            label
        )
        assert [name for name, _ in found.attributes if name.startswith("on")] == [], label
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy, label
        assert "default-src 'none'" in policy, label


def test_a_text_that_is_no_text_is_shown_all_the_same():
    answer = response.page("refusal.html", title="Not done", message="a file \udcff, half a pair \ud83d")
    assert "A file ?, half a pair ?" in answer.body.decode()
    assert url("runs", "\udcff", text="\ud83d") == "/runs/%3F?text=%3F"


def test_no_id_is_on_a_page_twice(pages):
    for label, answer in pages.items():
        ids = Structure(answer.text).values("id")
        assert len(ids) == len(set(ids)), label
        for name in Structure(answer.text).values("for", "aria-describedby"):
            assert name in ids, label


def test_what_a_task_wrote_is_answered_in_a_sandbox(home):
    place = f"/runs/{home.runs['succeeded']}/tasks/double/artifacts"
    views = [f"{place}/page/view", f"{place}/text/download", f"{place}/elsewhere/view"]
    page, download, elsewhere = endpoint_home.get(home, *views)
    assert page.text.startswith("<h1>A page of a task")
    assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none';")
    assert download.headers["content-disposition"] == "attachment; filename*=UTF-8''double-text"
    assert [page.status_code, download.status_code, elsewhere.status_code] == [200, 200, 404]


def test_markdown_leads_to_the_web_only(pages):
    found = Structure(pages["task 0 of the run that is succeeded"].text)
    assert "https://example.org" in found.values("href")
    assert not [each for each in found.values("href") if each.startswith("javascript:")]
    assert "align-right" in found.values("class")


def test_the_source_of_a_version_is_a_link_only_if_it_is_on_the_web(pages):
    assert "https://example.org/commit/0123" in Structure(pages["second version"].text).values("href")
    first = Structure(pages["first version"].text)
    assert any("javascript:alert(1)" in text for text in first.texts)
    assert not [each for each in first.values("href") if "javascript" in each]


@pytest.mark.parametrize(
    ("label", "word", "kind"),
    [
        ("run that is waiting", "waiting", "idle"),
        ("run that is running", "running", "info"),
        ("run that is canceling", "cancelling", "idle"),
        ("run that is terminated", "terminated", "idle"),
        ("run that is failed", "failed", "bad"),
        ("run that is succeeded", "succeeded", "ok"),
    ],
)
def test_only_what_went_wrong_looks_like_a_problem(pages, label, word, kind):
    badge = r'<span class="badge (\w+)[^"]*"><span aria-hidden="true">.</span> ([a-z ]+)</span>'
    badges = re.findall(badge, pages[label].text)
    assert badges[0] == (kind, word)
    # The warning's colour is for nothing that goes on as it should.
    assert "warn" not in "".join(Structure(pages[label].text).values("class"))


def test_a_live_page_says_so_until_its_run_has_ended(pages):
    live = {label for label, answer in pages.items() if ("data-live", None) in Structure(answer.text).attributes}
    assert {"runs", "run that is running", "run that is waiting", "run that is canceling"} <= live
    assert not {"run that is succeeded", "run that is failed", "pipelines", "new run"} & live


def test_the_list_says_which_runs_there_are_and_how_many(pages):
    assert "8 runs" in pages["runs"].text
    assert "No runs match these filters." in pages["runs by name"].text


def test_every_step_of_the_graph_leads_to_its_page(home, pages):
    run = home.runs["running"]
    hrefs = Structure(pages["run that is running"].text).values("href")
    for task in home.tasks:
        assert hrefs.count(f"/runs/{run}/tasks/{task}") == 3  # the wide graph, the narrow one, the table


TAGS = """a b br button code dd div dl dt em form h1 h2 h3 html i iframe img input label li main ol option p path pre
    script section select small span strong style svg table tbody td text textarea th thead time tr ul"""
MARKUP = re.compile(rf'</?({"|".join(TAGS.split())})([\s/>]|$)|\b(class|href|style|src)="|&\w+;')


def markup_literals(path: Path) -> list[str]:
    """The strings of a module, docstrings aside, that hold a tag, an attribute or an entity."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return sorted(text for text in texts - docstrings if MARKUP.search(text))


@pytest.mark.parametrize("path", sorted(ENDPOINT.rglob("*.py")), ids=lambda path: str(path.relative_to(ENDPOINT)))
def test_no_module_makes_markup(path):
    assert markup_literals(path) == []
    if path.name != "markdown.py":  # whose library escapes
        assert "Markup(" not in path.read_text()


def test_a_module_that_makes_markup_is_found(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        '"""About <b>markup</b>."""\nname = "x"\nx = f"<b>{name}</b>"\ny = \'<p class="z">\'\nz = "a < b"\n'
    )
    assert markup_literals(module) == ["</b>", "<b>", '<p class="z">']


def test_no_template_marks_anything_as_safe():
    for path in response.TEMPLATES.iterdir():
        assert not re.search(r"\|\s*safe\b|autoescape", path.read_text()), path


def test_a_run_that_evaluated_a_model_has_its_card_and_no_other(home):
    run = home.runs["succeeded"]
    folder = folders.of(home.context.workspace, run)
    assert [answer.status_code for answer in endpoint_home.get(home, url("runs", run, "model-card"))] == [404]
    made = {
        "id": run, "project": "flights", "parameters": {"model_name": "<b>"}, "ended": "2013-06-01", "versions": {},
        **dict.fromkeys(("pipeline", "commit", "code_version", "image", "cause", "user"), ""),
    }  # fmt: skip
    report = {
        "run": made, "decision": {}, "checks": [], "metrics": {"challenger": {"auc": 0.7}}, "baseline": None,
        "slices": [], "data": {}, "infra": {},
    }  # fmt: skip
    layouts.write_json(folder / "report.json", report)
    measured = {"metric": "auc", "value": 0.7, "rows": 900, "confidence": 0.95, "seconds": 1.0,
                "features": [{"feature": "hour", "loss": 0.11, "low": 0.1, "high": 0.12}]}  # fmt: skip
    layouts.write_json(folder / "importance.json", measured)

    shown, linked = endpoint_home.get(home, url("runs", run, "model-card"), url("runs", run, "model_card.html"))
    assert shown.status_code == 200
    assert linked.text == shown.text, "the report names the file beside it"
    assert "script" not in shown.headers["content-security-policy"]
    for text in ("&lt;b&gt;", "What it goes by", "0.1000 to 0.1200", "Nobody has written yet"):
        assert text in shown.text
    (folder / "report.json").unlink()


def test_runs_of_the_command_are_listed_by_their_reports_and_other_folders_are_not(tmp_path):
    home = endpoint_home.make(tmp_path)
    said = dict.fromkeys(("environment", "pipeline", "commit", "user"), "")
    made = record.Run(
        id=record.new_id(), project="<b>flights", parameters={}, cause="on demand", versions={}, process=0,
        started=record.now(), state=record.SUCCEEDED, seconds=53.0, **said,
    )  # fmt: skip
    folder = home.workspace.runs / made.id
    layouts.write_json(folder / record.RECORD, dataclasses.asdict(made))
    report, other = url("runs", made.id, "report"), url("runs", "..", "report")

    before = endpoint_home.get(home, "/runs", report)
    (folder / "report.html").write_text("<p>what came out</p>")
    listed, shown, led, filtered, refused = endpoint_home.get(
        home, "/runs", report, url("runs", made.id), "/runs?text=x", other
    )

    assert "&lt;b&gt;flights" in before[0].text
    assert report not in before[0].text
    assert before[1].status_code == 404
    assert Structure(listed.text).values("href").count(report) == 1
    assert listed.text.count(made.id) == 2
    assert shown.text == "<p>what came out</p>"
    assert "script" not in shown.headers["content-security-policy"]
    assert (led.status_code, led.headers["location"]) == (303, report)
    assert made.id not in filtered.text
    assert refused.status_code == 404
    home.database.close()
