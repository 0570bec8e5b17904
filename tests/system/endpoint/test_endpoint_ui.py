"""The endpoint's pages in a real browser: what a person does there, what axe says of them, what may not happen."""

import json
import subprocess
import sys

import pytest
from axe_playwright_python.sync_playwright import Axe
from kfp import dsl
from playwright.sync_api import expect, sync_playwright

import endpoint_home
import local_endpoint
from local_endpoint import CHROMIUM, IMAGE, NEEDS_CHROMIUM, compiled, doubling, ended, until, waiting

pytestmark = NEEDS_CHROMIUM
# Machines that run tests are busy.
expect.set_options(timeout=60_000)
EACH_SECOND = json.dumps({"predicates": [{"operation": "IS_SUBSTRING", "key": "name", "string_value": "each second"}]})
EVERY_RULE = {"resultTypes": ["violations"]}
# Of one document in other colours: all other rules are about what it holds.
RULES_OF_COLOURS = {**EVERY_RULE, "runOnly": ["color-contrast", "link-in-text-block"]}
EVIL = "<script>document.title='pwned'</script>"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def show(
    page: dsl.Output[dsl.HTML],
    notes: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    curves: dsl.Output[dsl.ClassificationMetrics],
    rows: dsl.Output[dsl.Dataset],
):
    evil = "<script>document.title='pwned'</script>"
    with open(page.path, "w") as file:
        file.write(f"<h1>A page of a task</h1>{evil}<img src='https://elsewhere.example/x.png'>")
    with open(notes.path, "w") as file:
        file.write(f"# Notes\n\n- **first**\n- {evil}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    metrics.log_metric("auc", 0.75)
    curves.log_roc_curve([0.0, 0.2, 1.0], [0.0, 0.8, 1.0], [1.0, 0.5, 0.0])
    curves.log_confusion_matrix(["late", "in time"], [[8, 2], [1, 9]])
    rows.path += ".csv"
    with open(rows.path, "w") as file:
        file.write("carrier,flights\nAA,3\n" + evil + ",4\n")


@dsl.pipeline(name="showing")
def showing(note: str = EVIL):
    show()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with local_endpoint.running(tmp_path_factory.mktemp("home"), "--parallel", "2") as running:
        yield running


@pytest.fixture(scope="module")
def client(endpoint):
    return endpoint.client()


@pytest.fixture(scope="module")
def pipeline(client, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    made = client.upload_pipeline(compiled(doubling, folder / "doubling.yaml"), "doubling", description="Twice, twice")

    def change(document):
        document["root"]["inputDefinitions"]["parameters"]["note"]["defaultValue"] = "changed"

    second = compiled(doubling, folder / "second.yaml", change)
    client.upload_pipeline_version(
        second,
        "second",
        made.pipeline_id,
        description='of a commit\n{"kfp-ct": {"commit": "0123abcd", "settings": "prod"}}',
    )
    return made.pipeline_id


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser, endpoint):
    context = browser.new_context(base_url=endpoint.url, viewport={"width": 1200, "height": 900})
    context.set_default_timeout(120_000)
    page = context.new_page()
    asked, problems = [], []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert [url for url in asked if not url.startswith((endpoint.url, "data:"))] == []
    assert problems == []


def test_a_run_is_started_by_the_form_and_followed_to_its_end(page, pipeline):
    page.goto("/pipelines")
    page.get_by_role("link", name="doubling").first.click()
    page.get_by_role("link", name="New run").click()
    page.get_by_label("number").fill("many")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_text("Not a whole number")).to_be_visible()
    page.get_by_label("number").fill("21")
    page.get_by_label("Name").fill("by hand")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_role("heading", name="by hand")).to_be_visible()
    # Nobody reloads: the page follows the run by itself.
    expect(page.locator(".facts .badge")).to_have_text("✓ succeeded")
    page.get_by_role("link", name="double-2").first.click()
    expect(page.get_by_role("row", name="Output 84")).to_be_visible()
    expect(page.get_by_role("row", name="number")).to_contain_text("double, Output")
    expect(page.locator("pre.log")).to_contain_text("doubling 42")


def test_a_failed_run_says_why_and_a_terminated_one_that(page, client, tmp_path):
    (tmp_path / "fail").touch()
    package = compiled(waiting, tmp_path / "waiting.yaml")
    failed = client.create_run_from_pipeline_package(
        package, arguments={"folder": str(tmp_path), "seconds": 0.0}
    ).run_id
    ended(client, failed)
    page.goto(f"/runs/{failed}")
    expect(page.locator(".note.bad")).to_contain_text("asked to fail")
    (tmp_path / "fail").unlink()
    (tmp_path / "go").touch()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".facts .badge")).to_have_text("✓ succeeded")
    (tmp_path / "go").unlink()
    going = client.create_run_from_pipeline_package(package, arguments={"folder": str(tmp_path)}).run_id
    page.goto(f"/runs/{going}")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Terminate").click()
    expect(page.locator(".facts .badge")).to_contain_text("terminated")


def test_what_a_task_wrote_is_shown_in_place_and_none_of_it_is_run(page, client, tmp_path):
    made = client.create_run_from_pipeline_package(compiled(showing, tmp_path / "showing.yaml"), arguments={})
    assert ended(client, made.run_id).state == "SUCCEEDED"
    page.goto(f"/runs/{made.run_id}/tasks/show")
    expect(page.frame_locator("iframe").get_by_role("heading", name="A page of a task")).to_be_visible()
    expect(page.locator(".markdown li").first).to_have_text("first")
    expect(page.locator(".markdown td").first).to_have_text("1")
    expect(page.get_by_text("0.75")).to_be_visible()
    expect(page.get_by_role("table", name="Confusion matrix")).to_contain_text("in time")
    expect(page.get_by_role("cell", name="3", exact=True)).to_be_visible()
    for place in ("", "/tasks/show", "/tasks/show/artifacts/page/view"):
        page.goto(f"/runs/{made.run_id}{place}")
        assert page.title() != "pwned"


def test_two_versions_and_two_runs_are_compared(page, client, pipeline):
    page.goto(f"/pipelines/{pipeline}")
    expect(page.get_by_role("row", name="second")).to_contain_text("0123abcd")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("row", name="note")).to_contain_text("changed")
    expect(page.get_by_role("row", name="settings")).to_contain_text("prod")
    expect(page.locator(".diff .add")).to_contain_text("defaultValue: changed")
    runs = [
        client.run_pipeline(None, f"number {n}", pipeline_id=pipeline, params={"number": n},
                            version_id=client.list_pipeline_versions(pipeline).pipeline_versions[0].pipeline_version_id)
        for n in (1, 2)
    ]  # fmt: skip
    for run in runs:
        ended(client, run.run_id)
    page.goto("/runs?text=number")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("row", name="number").last).to_contain_text("2")


def test_a_schedule_is_made_fires_and_is_disabled(page, client, pipeline):
    page.goto(f"/schedules/new?pipeline={pipeline}")
    page.get_by_label("Name").fill("each second")
    page.get_by_label("number").fill("3")
    page.get_by_label("Cron expression").fill("whenever")
    page.get_by_role("button", name="Create schedule").click()
    expect(page.locator(".note.bad").first).to_contain_text("six fields")
    page.get_by_label("Cron expression").fill("* * * * * *")
    page.get_by_role("button", name="Create schedule").click()
    expect(page.get_by_role("heading", name="each second")).to_be_visible()
    until(lambda: client.list_runs(filter=EACH_SECOND).runs)
    page.reload()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text("disabled").first).to_be_visible()
    expect(page.get_by_role("link", name="each second 20").first).to_be_visible()


def test_every_page_is_sane_for_screen_readers_and_in_the_dark(browser, endpoint, client, pipeline):
    versions = client.list_pipeline_versions(pipeline).pipeline_versions
    runs = [
        client.run_pipeline(None, f"seen {n}", pipeline_id=pipeline, params={"number": n},
                            version_id=versions[0].pipeline_version_id)
        for n in (1, 2)
    ]  # fmt: skip
    assert [ended(client, run.run_id).state for run in runs] == ["SUCCEEDED", "SUCCEEDED"]
    schedule = client.create_recurring_run(
        None, "seldom", interval_second=86400, pipeline_id=pipeline, params={"number": 1},
        version_id=versions[0].pipeline_version_id,
    )  # fmt: skip
    task = client.get_run(runs[0].run_id).run_details.task_details[0].display_name
    pages = [
        "/runs", "/runs?archived=1", f"/runs/{runs[0].run_id}", f"/runs/{runs[0].run_id}/tasks/{task}", "/runs/new",
        f"/runs/new?pipeline={pipeline}", f"/runs/compare?r={runs[0].run_id}&r={runs[1].run_id}", "/pipelines",
        f"/pipelines/{pipeline}", f"/pipelines/{pipeline}/versions/{versions[0].pipeline_version_id}",
        f"/pipelines/{pipeline}/compare?v={versions[0].pipeline_version_id}&v={versions[1].pipeline_version_id}",
        "/schedules", f"/schedules/{schedule.recurring_run_id}", f"/schedules/new?pipeline={pipeline}", "/triggers",
        "/experiments", "/login", "/runs/none",
    ]  # fmt: skip
    found = []
    # axe is put into the page by the test, which the pages' own policy would forbid.
    context = browser.new_context(base_url=endpoint.url, bypass_csp=True)
    page = context.new_page()
    for path in pages:
        page.goto(path)
        for scheme, options in (("light", EVERY_RULE), ("dark", RULES_OF_COLOURS)):
            page.emulate_media(color_scheme=scheme)
            found += [
                (scheme, path, each["id"], each["nodes"][0]["html"][:120])
                for each in Axe().run(page, options=options).response["violations"]
                if each["impact"] in ("serious", "critical")
            ]
    context.close()
    assert found == []


LONG = "_of_flights_from_all_airports_of_New_York_in_2013"


@pytest.mark.parametrize(
    ("scheme", "width", "name"),
    [("light", 1200, str), ("dark", 390, lambda name: name + LONG)],
    ids=["light and wide", "dark, on a phone, with long names"],
)
def test_every_state_is_sane_for_screen_readers_and_fits_the_page(browser, tmp_path, scheme, width, name):
    home = endpoint_home.make(tmp_path, name)
    found, wider, refused = [], [], []
    with endpoint_home.served(home) as url:
        # axe is put into the page by the test, which the pages' own policy would forbid.
        viewport = {"width": width, "height": 800}
        context = browser.new_context(base_url=url, color_scheme=scheme, viewport=viewport, bypass_csp=True)
        page = context.new_page()
        for label, place in endpoint_home.addresses(home).items():
            page.goto(place)
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                wider.append(label)
            found += [
                (label, each["id"], each["nodes"][0]["html"][:120])
                for each in Axe().run(page).response["violations"]
                if each["impact"] in ("serious", "critical")
            ]
        context.close()
        # Under its own policy a page breaks none of it.
        page = browser.new_page(base_url=url)
        page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
        for place in ("/runs", f"/runs/{home.runs['running']}", f"/schedules/{home.schedules['mondays']}", "/models"):
            page.goto(place)
        page.close()
    home.database.close()
    assert found == []
    assert wider == []
    assert refused == []


def test_what_starts_runs_by_itself_is_shown_and_what_it_would_decide_now(page):
    page.goto("/triggers")
    expect(page.get_by_role("row", name="worse than baseline")).to_contain_text("max_loss 0.03")
    page.get_by_role("link", name="Evaluate now").click()
    expect(page.get_by_role("note")).to_contain_text("run would start now")


def test_the_keyboard_reaches_the_content_first(page, pipeline):
    page.goto("/runs")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_links_that_kfps_client_prints_lead_to_the_pages(page, pipeline):
    page.goto(f"/#/pipelines/details/{pipeline}")
    expect(page.get_by_role("heading", name="doubling")).to_be_visible()


@pytest.mark.slow
def test_mlflows_own_ui_is_started_when_asked_for(browser, tmp_path):
    with local_endpoint.running(tmp_path) as fresh:
        page = browser.new_context(base_url=fresh.url).new_page()
        page.goto("/models")
        expect(page.get_by_text("No models yet.")).to_be_visible()
        page.goto("/models/mlflow")
        expect(page.locator(".note.bad")).to_contain_text("No model has been registered")
        (tmp_path / "registry").mkdir()
        make = "import mlflow; mlflow.MlflowClient('sqlite:///{}').create_registered_model('delays')"
        registry = tmp_path / "registry" / "mlflow.db"
        subprocess.run([sys.executable, "-c", make.format(registry)], check=True, capture_output=True)
        page.goto("/models")
        page.get_by_role("link", name="Open MLflow").click()
        page.wait_for_url("**/#/models**", timeout=120_000)
        page.context.close()


def test_with_a_token_a_person_says_it_once(browser, tmp_path):
    with local_endpoint.running(tmp_path, "--token", "correct horse") as guarded:
        context = browser.new_context(base_url=guarded.url)
        page = context.new_page()
        page.goto("/runs")
        page.get_by_label("Token").fill("battery staple")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("This is not the token of this endpoint")).to_be_visible()
        page.get_by_label("Token").fill("correct horse")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Runs")).to_be_visible()
        context.close()
