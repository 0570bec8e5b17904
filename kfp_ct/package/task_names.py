"""Names of a package's tasks: one name for each place where a task stands, however often its DAG is used."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kfp_ct.base.errors import PackageError
from kfp_ct.package.package import Package

Position = tuple[str, ...]  # names of the DAG tasks around a task, and its own


def names(package: Package) -> dict[Position, str]:
    """Returns the name of every task that runs an executor, in the order of the package.

    A name that stands once in the package is the task's own; where several nested pipelines have a task of that name,
    the names of the tasks around it are in front: `inner-2.echo`.

    Raises:
        PackageError: A DAG contains itself.
    """
    positions = list(_positions(package, package["root"].get("dag", {}), (), ()))
    counts = Counter(position[-1] for position in positions)
    return {each: each[-1] if counts[each[-1]] == 1 else ".".join(each) for each in positions}


def entry(package: Package, position: Position) -> dict[str, Any]:
    """Returns what stands at a position: the task's entry in its DAG."""
    dag = package["root"]["dag"]
    for around in position[:-1]:
        dag = package["components"][dag["tasks"][around]["componentRef"]["name"]]["dag"]
    found: dict[str, Any] = dag["tasks"][position[-1]]
    return found


def below(position: Position, known: Mapping[Position, str]) -> list[str]:
    """Returns the names of the tasks at a position: one, or all of a DAG."""
    return [name for each, name in known.items() if each[: len(position)] == position]


def in_loop(name: str, iterations: Sequence[int]) -> str:
    """Returns the name of a task in one iteration of the loops around it: `echo.0`, `echo.0.2`."""
    return ".".join([name, *map(str, iterations)])


def _positions(
    package: Package, dag: dict[str, Any], around: Position, components: Sequence[str]
) -> Iterator[Position]:
    for name, task in dag.get("tasks", {}).items():
        used = task.get("componentRef", {}).get("name", "")
        if used in components:
            raise PackageError(f"component {used} contains itself\nexpected: DAGs that end")
        component = package.get("components", {}).get(used, {})
        if "dag" in component:
            yield from _positions(package, component["dag"], (*around, name), (*components, used))
        else:
            yield (*around, name)
