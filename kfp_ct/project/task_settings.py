"""What settings say of tasks on a cluster: the sections `kubernetes` and `vertex`, for all tasks or by task.

What is said of one task lies over what is said of all: maps are merged by their keys, lists are joined, and anything
else is replaced.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from kfp_ct.base.settings import WHOLE, Count, Settings, Text, matching
from kfp_ct.clock.duration_settings import Duration

ALL, TASKS = "all", "tasks"
_MEMORY = r"[0-9]+(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?"
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18} | {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip


def _text_of_number(value: Any) -> Any:
    # YAML reads `cpu_limit: 2` as a number.
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value


NUMBER = BeforeValidator(_text_of_number)
Cpu = Annotated[str, matching(r"^([0-9]+(\.[0-9]+)?|[0-9]+m)$", "a number of CPUs such as 2, 0.5 or 500m"), NUMBER]
Memory = Annotated[str, matching(f"^{_MEMORY}$", "an amount of memory such as 512Mi, 4Gi or 8G"), NUMBER]
Image = Annotated[str, matching(r"^[a-z0-9]\S*$", "an image, or the name of one of the lock, such as components-gpu")]


class Accelerator(Settings):
    """Accelerators of a task."""

    type: Text = Field(description="What the cluster calls it: nvidia.com/gpu; on Vertex AI NVIDIA_TESLA_T4.")
    count: Count = Field(1, description="How many.")


class Retries(Settings):
    """What happens when a task fails."""

    count: Annotated[int, Field(ge=0, le=100), WHOLE] = Field(description="Times that it is tried again.")
    backoff: Duration = Field("30s", description="Time before the first.")
    factor: Annotated[float, Field(ge=1)] = Field(2.0, description="By which the time grows with each.")
    longest: Duration = Field("1h", description="Time over which it is tried again at most.")


class TaskSettings(Settings):
    """What every cluster can be told of a task."""

    cpu_limit: Cpu | None = Field(None, description="CPUs at most; on Vertex AI, the machine is chosen by it.")
    memory_limit: Memory | None = Field(None, description="Memory at most; on Vertex AI, the machine is chosen by it.")
    accelerator: Accelerator | None = Field(None, description="Accelerators such as GPUs.")
    image: Image | None = Field(None, description="Image in place of the component's, such as components-gpu.")
    retries: Retries | None = Field(None, description="Whether it is tried again when it fails.")


def cpus(text: str) -> float:
    """Returns a number of CPUs."""
    return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


def bytes_of(text: str) -> int:
    """Returns an amount of memory in bytes."""
    digits, unit = re.fullmatch(r"([0-9]+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return int(digits) * _UNITS.get(unit, 1)


def merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Lays settings over others."""
    result = dict(low)
    for key, value in high.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = merged(below, value)
        elif isinstance(value, list) and isinstance(below, list):
            result[key] = [*below, *(each for each in value if each not in below)]
        else:
            result[key] = value
    return result


def of_task(section: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns what a section says of a task, with what it says of all."""
    return merged(section.get(ALL) or {}, (section.get(TASKS) or {}).get(name) or {})


def above(low: str | None, high: str | None, measure: Any) -> bool:
    """Whether a request is above its limit."""
    return low is not None and high is not None and measure(low) > measure(high)


def misfits_of_tasks(model: type[TaskSettings], section: Any) -> Iterator[tuple[str, Any]]:
    """Yields the tasks of a section with their settings over those of all, where both are maps."""
    tasks = section.get(TASKS) if isinstance(section, Mapping) else None
    for name, each in (tasks or {}).items() if isinstance(tasks, Mapping) else ():
        if isinstance(each, Mapping) and isinstance(section.get(ALL) or {}, Mapping):
            yield name, of_task(section, name)
