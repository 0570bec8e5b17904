"""Promote and roll back in the endpoint's pages, in a real browser."""

import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

import local_endpoint
from kfp_ct.data import layouts
from local_endpoint import CHROMIUM, NEEDS_CHROMIUM
from registered_models import now, place_in, three_versions

pytestmark = [
    NEEDS_CHROMIUM,
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning"),
]


def test_a_person_promotes_rolls_back_and_is_refused_what_was_not_blessed(tmp_path):
    home = three_versions(tmp_path)
    place = place_in(home)
    source = place.reader.version("flights", "2").source.rpartition("/")[2]
    refused = home / "registry" / "models" / "flights" / source / layouts.REGISTERED / layouts.KEPT_BLESSING
    shutil.rmtree(refused)
    with local_endpoint.running(home) as endpoint, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(base_url=endpoint.url, bypass_csp=True).new_page()
        page.set_default_timeout(180_000)  # MLflow is imported by the first move
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/models")
        assert [each["id"] for each in Axe().run(page).response["violations"] if each["impact"] == "serious"] == []
        # What was not blessed has no button, and a request made by hand is refused.
        expect(page.get_by_role("button", name="Promote")).to_have_count(1)
        forged = page.request.post("/models/flights/promote", form={"version": "2"}, headers={"Origin": endpoint.url})
        assert forged.status == 400
        assert now(place) == ("3", "3")
        page.get_by_label("reason to promote v1").fill("it answers better")
        page.get_by_role("button", name="Promote").click()
        history = page.get_by_role("table", name="history of flights")
        expect(history).to_contain_text("it answers better", timeout=180_000)
        assert now(place) == ("1", "1")
        page.get_by_role("button", name="Roll back").click()
        expect(history).to_contain_text("rollback", timeout=180_000)
        assert now(place) == ("3", "3")
        browser.close()
