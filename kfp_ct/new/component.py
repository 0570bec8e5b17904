"""Makes a component: its interface, its work, a test that fails until the work is written, and its entries."""

import re
import shutil
from pathlib import Path
from string import Template

from kfp_ct.base.errors import UsageError
from kfp_ct.new import names
from kfp_ct.project import workspace as project

TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_NAME = 30
_ROW = "| [`$name`](components/$name/component.py) | `examples` (limit) | `result` | to be written: what it does |"
_LAST_ROW = re.compile(r"(?:^\| \[`\w+`\]\(components/\w+/component\.py\).*\n)+", re.MULTILINE)
_RULE = re.compile(r'(name = "components never import each other".*?modules = \[\n.*?)(\n\])', re.DOTALL)


def make(workspace: project.Workspace, name: str) -> str:
    """Writes a component and its entries in README.md and pyproject.toml.

    Returns:
        What to do next.

    Raises:
        UsageError: The name is taken or none, or a file has no place for the entry.
    """
    folder = workspace.root / "components" / name
    test = workspace.root / "tests" / "components" / name / f"test_{name}.py"
    names.check(name, _LONGEST_NAME, "component", "deduplicate")
    names.check_free(workspace.root, name, folder)
    entries = {
        workspace.root / "README.md": _with_row(workspace.root / "README.md", name),
        workspace.root / "pyproject.toml": _with_rule(workspace.root / "pyproject.toml", name),
    }
    try:
        folder.mkdir()
        (folder / "__init__.py").touch()
        for file in ("component.py", "work.py"):
            (folder / file).write_text(_filled(f"{file}.template", name))
        test.parent.mkdir(parents=True, exist_ok=True)
        test.write_text(_filled("component_test.py.template", name))
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for path, text in entries.items():
        path.write_text(text)
    return (
        f"components/{name}: component.py (the interface), work.py (the work), {test.relative_to(workspace.root)}\n"
        "README.md has its row and pyproject.toml its name.\n"
        f"next: .venv-components/bin/python -m pytest {test.relative_to(workspace.root)}, which says what to write"
    )


def _filled(template: str, name: str) -> str:
    # In the order that the linter wants, which hangs on the name.
    imports = sorted([f"from kfp_ct.components.{name} import work", "from kfp_ct.base.errors import $error"])
    text = (TEMPLATES / template).read_text()
    for indent, error in (("    ", "reported"), ("", "DataError")):
        lines = "\n".join(f"{indent}{line}" for line in imports).replace("$error", error)
        text = text.replace(f"{indent}$imports_of_{error}", lines)
    return Template(text).substitute(name=name)


def _with_row(readme: Path, name: str) -> str:
    text = readme.read_text()
    table = _LAST_ROW.search(text)
    if table is None:
        raise UsageError(f"{readme} has no table of components\nfix: add one, a row a component")
    return text[: table.end()] + Template(_ROW).substitute(name=name) + "\n" + text[table.end() :]


def _with_rule(pyproject: Path, name: str) -> str:
    text = pyproject.read_text()
    if not _RULE.search(text):
        raise UsageError(f"{pyproject} has no rule 'components never import each other'\nfix: restore it")
    return _RULE.sub(lambda match: f'{match[1]}\n    "kfp_ct.components.{name}",{match[2]}', text, count=1)
