"""Values against what components say of their parameters, before anything runs.

Which of a pipeline's inputs reaches which parameter is read from the compiled package, so a DAG that a user edited, an
input of another name and a component of their own are checked alike: a component whose body imports its `work` from a
folder is described by `Parameters` in that folder's `settings.py`.
"""

import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kfp_ct.base import setting_problems
from kfp_ct.base.errors import UsageError
from kfp_ct.base.setting_problems import Problem, nearest
from kfp_ct.base.settings import Settings
from kfp_ct.package import arguments, clear_secrets, package, wiring
from kfp_ct.package.package import Package
from kfp_ct.package.wiring import Constant, FromInput, Task
from kfp_ct.project.named_files import NamedFiles


def problems(compiled: Package, given: Mapping[str, Any], files: NamedFiles | None = None) -> list[Problem]:
    """Returns everything about values that does not fit a package: unknown, missing, of another type, not allowed.

    Args:
        compiled: A package.
        given: Values by the inputs' names; the package's defaults stand for those that are left out.
        files: Looks at the files and modules that the values name, too.

    Raises:
        UsageError: A component's settings.py cannot be imported.
    """
    clear = [*clear_secrets.of_values(compiled, given), *clear_secrets.problems(compiled)]
    hidden = {problem.path for problem in clear}
    found = [*clear, *(each for each in arguments.problems(compiled, given) if each.path not in hidden)]
    wrong = {problem.path[0] for problem in found}
    defaults = {name: each["defaultValue"] for name, each in package.inputs(compiled).items() if "defaultValue" in each}
    fitting = {name: value for name, value in {**defaults, **given}.items() if name not in wrong}
    tasks = wiring.tasks(compiled)
    for task in tasks:
        found += _of_task(task, fitting, files)
    found += _without_splits(tasks, fitting)
    found += _unknown_splits(tasks, fitting)
    return list(dict.fromkeys(found))


def described(component_package: str) -> type[Settings] | None:
    """Returns the description of a component's parameters; None where it has none.

    Raises:
        UsageError: Its settings.py cannot be imported.
    """
    name = f"{component_package}.settings"
    try:
        if not component_package or importlib.util.find_spec(name) is None:
            return None
        found = getattr(importlib.import_module(name), "Parameters", None)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):  # a package that was made elsewhere
            return None
        raise UsageError(
            f"{name} cannot be imported: {error}\nfix: a settings.py imports pydantic and kfp_ct"
        ) from error
    except Exception as error:  # it is a user's file
        raise UsageError(f"{name} cannot be imported: {type(error).__name__}: {error}\nfix: correct it") from error
    return found if isinstance(found, type) and issubclass(found, Settings) else None


def known(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a task's parameters that are known before a run."""
    found = {}
    for parameter, source in task.sources.items():
        if isinstance(source, FromInput) and source.name in values:
            found[parameter] = values[source.name]
        elif isinstance(source, Constant):
            found[parameter] = source.value
    return found


def _of_task(task: Task, values: Mapping[str, Any], files: NamedFiles | None) -> Iterator[Problem]:
    model = described(task.package)
    if model is None:
        return
    given = {name: value for name, value in known(task, values).items() if name in model.model_fields}
    found = [each for each in setting_problems.problems(model, given) if each.path[0] in given]
    wrong = {problem.path[0] for problem in found}
    if files:
        found += files.problems(model, {name: value for name, value in given.items() if name not in wrong})
    for problem in found:
        parameter, *rest = problem.path
        yield Problem((*_place(task, str(parameter)), *rest), problem.text)


def _without_splits(tasks: Sequence[Task], values: Mapping[str, Any]) -> Iterator[Problem]:
    """Says that a dataset whose rows are all to be scored goes to components that train or evaluate."""
    for task in tasks:
        model = described(task.package)
        lacking = model.without_splits(known(task, values)) if model else None
        readers = [each.name for each in tasks if task.name in _read_by_splits(each)] if lacking else []
        if lacking and readers:
            (parameter, *rest), said = lacking
            text = f" is {said}, which {', '.join(readers)} {'needs' if len(readers) == 1 else 'need'}"
            yield Problem((*_place(task, parameter), *rest), f"{text}; expected another split")


def _unknown_splits(tasks: Sequence[Task], values: Mapping[str, Any]) -> Iterator[Problem]:
    """Says that a component is told to read a split that its dataset will not have."""
    by_name = {task.name: task for task in tasks}
    for task in tasks:
        model = described(task.package)
        named = model.named_splits(known(task, values)) if model else None
        makers = [by_name[name] for name in _read_by_splits(task) if name in by_name] if named else []
        for made in filter(None, (_made_splits(maker, values) for maker in makers)):
            (parameter, *rest), splits = named or (("",), ())
            for split in (each for each in splits if each not in made):
                said = nearest(split, made) or f"expected {', '.join(made)}"
                yield Problem((*_place(task, parameter), *rest), f": there is no split {split!r}; {said}")


def _made_splits(task: Task, values: Mapping[str, Any]) -> tuple[str, ...]:
    model = described(task.package)
    return model.made_splits(known(task, values)) if model else ()


def _read_by_splits(task: Task) -> list[str]:
    model = described(task.package)
    return [task.producers.get(artifact, "") for artifact in model.READS_SPLITS] if model else []


def _place(task: Task, parameter: str) -> tuple[str, ...]:
    source = task.sources[parameter]
    return (source.name,) if isinstance(source, FromInput) else (f"{task.name}({parameter})",)
