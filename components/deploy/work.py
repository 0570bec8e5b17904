"""Has a blessed model served, and makes it the champion once it is."""

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.data import layouts
from kfp_ct.models import approvals, blessing, champion_alias, model_version, registry, release_target, serving_target
from kfp_ct.models.serving_folder import Release
from kfp_ct.models.settings import Serving


@dataclasses.dataclass(frozen=True)
class Destination:
    """Where a model is published and served, and the registry whose champion it becomes.

    Attributes:
        serving_root: Folder or object store that models are published to.
        serving: What serves them, as the settings `serving` say; by default what watches the folder.
        registry_uri: The registry; empty where the champion is moved by another.
    """

    serving_root: str
    serving: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    registry_uri: str = ""


def deploy(release: Release, destination: Destination, keep_versions: int, deployment_path: str) -> dict[str, Any]:
    """Has a blessed model served, or begins its release; when it answers all, the alias champion moves to it.

    Where the settings demand a person's approval and it is not there, the version waits and nothing is served.

    Args:
        release: What to serve.
        destination: Where and by what.
        keep_versions: Versions that stay in a serving folder, this one included; at least 1.
        deployment_path: Where summary.json is written.

    Returns:
        The deployment's metadata: model, version and previous version.

    Raises:
        ModelNotBlessedError: The verdict is not a yes, or is about another model.
        NotServedError: It did not become ready; what served before serves on, and the champion stays.
        ConfigurationError: A name, a version or the target cannot be used, or it holds another model as this version.
    """
    model_version.check_model_name(release.model_name)  # before it is part of any path
    release = dataclasses.replace(release, registry_uri=destination.registry_uri)
    stopped = _waiting(release, destination, deployment_path) or _started(release, destination, deployment_path)
    if stopped is not None:
        return stopped
    target = serving_target.open_target(destination.serving, destination.serving_root, release.model_name)
    served = target.serve(release, keep_versions)
    if destination.registry_uri:
        champion_alias.make_champion(destination.registry_uri, release.model_name, release.version)
    layouts.write_json(
        Path(deployment_path) / layouts.SUMMARY, {**served.state, "kept": served.kept, "path": served.where}
    )
    champion = ", the champion," if destination.registry_uri else ""
    kept = f"; {', '.join(f'v{version}' for version in served.kept)} kept" if served.kept else ""
    task_log.summary(f"serving {release.model_name} v{release.version}{champion} from {served.where}{kept}")
    return served.state


def _waiting(release: Release, destination: Destination, deployment_path: str) -> dict[str, Any] | None:
    """Asks for the approval that the settings demand; None where none is needed, or it was given."""
    rules = approvals.rules_of(destination.serving)
    if rules is None:
        return None
    model, uri = release.model_name, destination.registry_uri
    if not uri:
        raise ConfigurationError(
            "serving.approve is true, and there is no registry_uri\nexpected: the registry that approvals are kept in\n"
            "fix: pass registry_uri to deploy"
        )
    blessing.require(release.blessing_path, release.model_path)
    target = serving_target.open_target(destination.serving, destination.serving_root, model)
    reader, served = registry.open_reader(uri), target.served(model)
    version, champion = reader.version(model, release.version), reader.champion(model)
    if version is None:
        raise ConfigurationError(f"{model} v{release.version} is not registered in {uri}\nfix: run the pipeline again")
    found = approvals.standing(version, rules)
    if found is None or found.state == approvals.APPROVED or (champion and champion.number == served == version.number):
        return None
    asked = {"approvals": rules.needed, "expires": rules.expires, "serving_root": destination.serving_root}
    approvals.ask(uri, model, release.version, {**asked, "serving": dict(destination.serving)})
    state = {"model": model, "version": served, "previous": "", "waiting": release.version}
    layouts.write_json(Path(deployment_path) / layouts.SUMMARY, {**state, "approval": found.title, "kept": []})
    stays = f"v{served} answers as before" if served else "nothing is served"
    task_log.summary(
        f"{model} v{release.version} is registered and blessed, and {found.title}; {stays}; "
        f"ct approve {model} {release.version}, or ct reject"
    )
    return state


def _started(release: Release, destination: Destination, deployment_path: str) -> dict[str, Any] | None:
    """Begins a release where the settings have a policy and another version answers; None where it is served at once.

    A release that runs and is not to be gone on with is ended.
    """
    policy = Serving.model_validate(dict(destination.serving)).release
    running = release_target.open_releases(
        destination.serving, destination.serving_root, release.model_name, destination.registry_uri
    )
    now = datetime.datetime.now(datetime.UTC)
    if policy is None:
        if running.running(release.model_name):
            running.abort(release.model_name, f"v{release.version} is served without a release", now)
        return None
    state = running.start(release, policy, now)
    if state is None:
        return None
    found = {"model": state.model, "version": state.live, "previous": "", "candidate": state.candidate}
    layouts.write_json(Path(deployment_path) / layouts.SUMMARY, {**found, "release": state.id, "kept": []})
    task_log.summary(
        f"released {state.model} {state.title}; v{state.live} stays the champion until ct watch or ct release step "
        "has seen enough"
    )
    return {**found, "release": state.id}
