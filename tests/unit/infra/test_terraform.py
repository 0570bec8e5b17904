"""infra/terraform, held to the provider's schema and to rules of its own: without a cloud and without Terraform."""

import importlib
import re
import shutil
from pathlib import Path

import hcl2
import provider_schema
import pytest
import typer
import yaml

import terraform_policy
from kfp_ct.cli import commands

ROOT = Path(__file__).resolve().parents[3]
MODULES = ROOT / "infra/terraform"
TRIGGERS = ROOT / "infra/triggers"


@pytest.fixture
def broken(tmp_path):
    """The problems that a copy of the modules has after a change of one file."""

    def of(file, old, new):
        copied = shutil.copytree(MODULES, tmp_path / "terraform")
        text = (copied / file).read_text()
        assert text.count(old) >= 1, f"{file} has no {old!r}"
        (copied / file).write_text(text.replace(old, new, 1))
        return terraform_policy.problems(copied)

    return of


def test_the_provider_knows_all_that_is_written_and_no_rule_is_broken():
    assert terraform_policy.problems() == []


def test_something_was_looked_at():
    resources = re.findall(r'^resource "', "".join(file.read_text() for file in MODULES.rglob("*.tf")), re.MULTILINE)

    assert len(list(MODULES.rglob("*.tf"))) >= 14
    assert len(resources) >= 30


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("modules/vertex/main.tf", "display_name", "displayname", "there is no argument displayname"),
        ("modules/vertex/main.tf", "  location     = var.region\n", "", "location is missing"),
        ("modules/storage/main.tf", "versioning {", "versions {", "there is no block versions"),
        ("modules/storage/main.tf", 'dynamic "encryption"', 'dynamic "encrypted"', "there is no block encrypted"),
        ("modules/storage/main.tf", "age        =", "days       =", "there is no argument days"),
        ("modules/alerts/main.tf", '"email"', "var.kind", "var.kind is not declared"),
        ("modules/events/main.tf", "= local.kms_key", "= local.key", "local.key is not there"),
        ("modules/events/main.tf", "events.id", "event.id", "google_pubsub_topic.event is not there"),
        ("modules/build/main.tf", "github.name", "github.nom", "google_cloudbuildv2_connection has no attribute nom"),
        ("main.tf", "  builds          = var.builds\n", "", "module build: builds is missing"),
        ("main.tf", "approval        = var.approval", "approve = true", "module build: there is no variable approve"),
        ("main.tf", "services.project", "services.id", "module.services.id is not there"),
        ("main.tf", "./modules/vertex", "./modules/vortex", "module vertex: there is no folder ./modules/vortex"),
        ("modules/identities/main.tf", "aiplatform.user", "aiplatform.admin", "roles/aiplatform.admin is too wide"),
        ("modules/identities/main.tf", "roles/logging.viewer", "roles/owner", "roles/owner is too wide"),
        ("modules/storage/main.tf", "objectCreator", "objectAdmin", "roles/storage.objectAdmin is too wide"),
        ("modules/storage/main.tf", '= "enforced"', '= "inherited"', "can be made public"),
        ("modules/storage/main.tf", "uniform_bucket_level_access = true", "", "can be made public"),
        ("modules/alerts/main.tf", "google_logging_project_sink.audit.writer_identity", '"allUsers"', "everyone"),
        ("modules/secrets/main.tf", "_iam_member", "_iam_binding", "there is no resource|the schema has no such"),
    ],
)
def test_what_is_wrong_is_named(broken, file, old, new, found):
    problems = broken(file, old, new)

    assert any(re.search(found, each) for each in problems), problems
    assert all(re.match(r"\w+: ", each) for each in problems)


def test_a_block_that_may_be_once_is_not_there_twice(broken):
    problems = broken(
        "modules/storage/main.tf", "  versioning {", "  versioning {\n    enabled = false\n  }\n\n  versioning {"
    )

    assert any("versioning is there 2 times, and may be once" in each for each in problems)


def test_the_schema_is_of_what_is_used():
    """Run provider_schema.py after naming a resource that was not used before."""
    schemas = yaml.safe_load((MODULES / "provider-6.50.json").read_text())

    assert {(kind, f"google_{name}") for kind, name in provider_schema.used()} == {
        (kind, name) for kind, named in schemas.items() for name in named
    }


def test_the_version_of_the_schema_is_the_one_that_terraform_takes():
    assert 'version = "~> 6.50"' in (MODULES / "versions.tf").read_text()


@pytest.mark.parametrize("environment", ["test", "preprod", "prod"])
def test_an_environment_says_what_has_no_default_and_names_triggers_that_are_there(environment):
    values = hcl2.loads((MODULES / "environments" / f"{environment}.tfvars").read_text())
    variables = terraform_policy._read(MODULES).named("variable")
    needed = {name for name, variable in variables.items() if "default" not in variable}

    assert needed <= values.keys() <= variables.keys() | {"__comments__"}
    assert values["environment"] == f'"{environment}"'
    assert {name.strip('"') for name in values["builds"]} <= {file.stem for file in TRIGGERS.glob("*.yaml")}


def test_only_the_first_environment_builds_without_approval():
    texts = {file.stem: file.read_text() for file in (MODULES / "environments").glob("*.tfvars")}

    assert {name for name, text in texts.items() if re.search(r"approval +?= false", text)} == {"test"}


def test_every_field_of_a_trigger_is_handed_on():
    """Terraform reads infra/triggers; a field that it does not name would be dropped."""
    said = set()
    for file in TRIGGERS.glob("*.yaml"):
        trigger = yaml.safe_load(file.read_text())
        said |= {*trigger, *trigger["github"].get("push", {}), *trigger.get("approvalConfig", {})}
    module = (MODULES / "modules/build/main.tf").read_text()

    assert {name for name in said if not re.search(rf"\.{name}\b", module)} == set()


def test_the_page_has_every_right_and_why_it_is_there():
    page = (ROOT / "docs/google-cloud.md").read_text()

    assert terraform_policy.table() in page
    assert all(why for *_, why in terraform_policy.grants())


def test_every_right_is_there_for_a_step_that_exists():
    steps = {step["id"] for step in yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())["steps"]}
    components = {each.parent.name for each in (ROOT / "components").glob("*/component.py")}
    known = {*steps, *components, *(f"ct {name}" for name in commands.ENTRIES)}
    # What is no step of its own: every task, the endpoint's replicas, the service in them, what a build leaves.
    known |= {"every task", "tasks", "the tasks", "the endpoint", "the service", "the build", "deliver again"}
    for *right, why in terraform_policy.grants():
        named = [each for each in known if re.search(rf"\b{each}\b", why)]
        assert named, (right, why)


def test_every_job_that_has_rights_has_an_account_and_none_is_idle():
    text = (MODULES / "modules/identities/main.tf").read_text()
    jobs = set(re.findall(r"^    (\w+) +=", text[text.index("jobs = {") : text.index("project_grants")], re.MULTILINE))

    assert {job for job, *_ in terraform_policy.grants()} == jobs


def command(name):
    module, _, function = commands.ENTRIES[name].source.partition(":")
    app = typer.Typer()
    app.command()(getattr(importlib.import_module(module), function))
    return typer.main.get_command(app)


def test_what_containers_are_started_with_are_commands_and_options_of_ct():
    """An argument or a variable that nothing reads would be a setting that is dropped without a word."""
    found = []
    for file in (MODULES / "modules").rglob("*.tf"):
        for text in re.findall(r"args = \[(.*?)\n      \]", file.read_text(), re.DOTALL):
            name, *rest = re.findall(r'"([^"]*)"', text)
            known = {each for option in command(name).params for each in option.opts}
            assert {each for each in rest if each.startswith("--")} <= known, (file, name)
            found.append(name)
        assert not re.findall(r"^ *env {", file.read_text(), re.MULTILINE), "ct reads options, not the environment"
    assert sorted(found) == ["receive", "watch"]
