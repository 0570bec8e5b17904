"""The table of commands: what `ct --help` lists, in the order of a user's day, without importing any of them."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Entry:
    """A command.

    Attributes:
        name: What the user types after `ct`.
        source: Its function, or the `typer.Typer` of its family: module:attribute, imported when it is needed.
        summary: The first line of its help; a test holds it equal to the docstring's.
    """

    name: str
    source: str
    summary: str


SECTIONS: Mapping[str, tuple[Entry, ...]] = {
    "Project": (
        Entry("init", "kfp_ct.cli.init:init", "Create a repository of your own."),
        Entry("new", "kfp_ct.cli.new:new", "Create a project from a CSV file."),
        Entry("from-tfx", "kfp_ct.cli.from_tfx:from_tfx", "Create a project from a TFX pipeline."),
        Entry("new-component", "kfp_ct.cli.new:new_component", "Create a component: interface, work, test, entries."),
        Entry("settings", "kfp_ct.cli.settings:app", "Show a project's settings, or make them."),
        Entry("setup", "kfp_ct.cli.setup:setup", "Prepare both environments and the example data."),
    ),
    "Run": (
        Entry("run", "kfp_ct.cli.run:run", "Run a project's pipeline, or any package, on this machine."),
        Entry("runs", "kfp_ct.cli.runs:runs", "List the runs on this machine, newest first."),
        Entry(
            "why-not-cached",
            "kfp_ct.cli.why_not_cached:why_not_cached",
            "Explain why steps of a run were not served from the cache.",
        ),
        Entry("compare", "kfp_ct.cli.compare:compare", "Compare two runs, of here or `ct up`, KFP, Vertex AI."),
        Entry("up", "kfp_ct.cli.up:up", "Serve Kubeflow Pipelines' API and a UI on this machine."),
        Entry("gc", "kfp_ct.cli.gc:gc", "Delete runs, artifacts and models nothing refers to."),
    ),
    "Build": (
        Entry("compile", "kfp_ct.cli.compile:compile_project", "Compile a project's pipeline to a KFP package."),
        Entry(
            "check",
            "kfp_ct.cli.check:check",
            "Check a package for a KFP backend and for this machine.",
        ),
        Entry("build", "kfp_ct.cli.build:build", "Run a Cloud Build configuration on this machine."),
        Entry("builds", "kfp_ct.cli.builds:builds", "List the builds on this machine, newest first."),
        Entry("images", "kfp_ct.cli.images:app", "Build, push, lock and inspect the project's images."),
        Entry("trigger", "kfp_ct.cli.trigger:app", "Start builds by a push to a git remote on this machine."),
    ),
    "Deliver": (
        Entry("deploy", "kfp_ct.cli.deploy:deploy", "Deploy a pipeline as a version named by its commit."),
        Entry("plan", "kfp_ct.cli.plan:plan", "Show what `ct apply` would change on a target."),
        Entry("apply", "kfp_ct.cli.plan:apply", "Bring a target to what a project's files say."),
        Entry("wait", "kfp_ct.cli.wait:wait", "Wait for the end of a run that was started before."),
        Entry("doctor", "kfp_ct.cli.doctor:doctor", "Look whether a cluster has what runs of a project need."),
        Entry("schedule", "kfp_ct.cli.schedule:app", "Plan, apply, check and list a project's schedules."),
        Entry("delivery", "kfp_ct.cli.delivery:app", "Promote a delivered package from environment to environment."),
        Entry("upload", "kfp_ct.cli.upload:upload", "Upload files and folders to Cloud Storage."),
    ),
    "Serve": (
        Entry("models", "kfp_ct.cli.models:models", "List the versions of registered models."),
        Entry(
            "model-card", "kfp_ct.cli.model_card:model_card", "Write the card of a model: for what, for whom, how well."
        ),
        Entry("promote", "kfp_ct.cli.promote:promote", "Make a blessed version the champion and serve it."),
        Entry("approve", "kfp_ct.cli.approve:approve", "Approve a version that waits for a person's word."),
        Entry("reject", "kfp_ct.cli.approve:reject", "Reject a version that waits for a person's word."),
        Entry("rollback", "kfp_ct.cli.promote:rollback", "Return to the champion before the present one."),
        Entry("release", "kfp_ct.cli.release:app", "Release candidates on live traffic, by evidence."),
        Entry(
            "load-test",
            "kfp_ct.cli.load_test:load_test",
            "Drive a served model at a steady rate, and judge it.",
        ),
        Entry("reproduce", "kfp_ct.cli.reproduce:reproduce", "Train a version again from its commit, and compare."),
        Entry("serve", "kfp_ct.cli.serve:serve", "Serve deployed models over HTTP and gRPC."),
        Entry("features", "kfp_ct.cli.features:app", "Write online features of a project, and measure their skew."),
    ),
    "Watch": (
        Entry("watch", "kfp_ct.cli.watch:watch", "Run a pipeline when its triggers ask for it."),
        Entry("receive", "kfp_ct.cli.receive:receive", "Start a service's runs by events over HTTP (Cloud Run)."),
        Entry("why", "kfp_ct.cli.why:why", "Explain why a run started."),
        Entry("replay", "kfp_ct.cli.replay:replay", "Replay a project's past: does retraining pay, and when?"),
        Entry("scorecard", "kfp_ct.cli.scorecard:scorecard", "Score a project by the ML Test Score's 28 tests."),
        Entry("notices", "kfp_ct.cli.notices:app", "Tell people of failed runs, refused models and alarms."),
    ),
}

ENTRIES: Mapping[str, Entry] = {entry.name: entry for entries in SECTIONS.values() for entry in entries}
