"""A service as it will be once the versions of a plan are there: what schedules are planned against."""

import types
from collections.abc import Iterable
from typing import Any

from kfp_ct.deploy.version import Version
from kfp_ct.package import package


class ForeseenService:
    """Answers what the service answers, and of a version that is not there yet what it will answer."""

    def __init__(self, service: Any, versions: Iterable[Version]) -> None:
        self._service = service
        self._versions = {each.pipeline: each for each in versions}
        self._names: dict[str, str] = {}  # of pipelines, by their ids
        self._absent: set[str] = set()

    def pipeline(self, name: str) -> str | None:
        """Returns the id of a pipeline; its name where it is still to be created."""
        found: str | None = self._service.pipeline(name)
        if found is None and name in self._versions:
            self._absent.add(name)
            found = name
        if found is not None:
            self._names[found] = name
        return found

    def version(self, pipeline_id: str, name: str) -> Any:
        """Returns the version of a name; None if there is none and none is planned."""
        found = None if pipeline_id in self._absent else self._service.version(pipeline_id, name)
        planned = self._versions.get(self._names.get(pipeline_id, pipeline_id))
        return _stand_in(planned) if found is None and planned and planned.name == name else found

    def latest(self, pipeline_id: str) -> Any:
        """Returns the planned version; where none is, the one that was uploaded last."""
        planned = self._versions.get(self._names.get(pipeline_id, pipeline_id))
        return self.version(pipeline_id, planned.name) if planned else self._service.latest(pipeline_id)


def _stand_in(planned: Version) -> Any:
    return types.SimpleNamespace(
        display_name=planned.name, pipeline_version_id="", pipeline_spec=package.as_spec(planned.compiled)
    )
