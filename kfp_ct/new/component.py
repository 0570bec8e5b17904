"""Makes a component: its interface, its work, a test that fails until the work is written, its row in the README."""

import re
import shutil
from pathlib import Path
from string import Template

from kfp_ct.new import names
from kfp_ct.project import workspace as project

TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_NAME = 30
_ROW = "| [`$name`](components/$name/component.py) | `examples` (limit) | `result` | to be written: what it does |"
_LAST_ROW = re.compile(r"(?:^\| \[`\w+`\]\(components/\w+/component\.py\).*\n)+", re.MULTILINE)


def make(workspace: project.Workspace, name: str) -> str:
    """Writes a component, and its row in README.md where that has a table of components.

    In the library's own repository it becomes one of the library's, elsewhere one of the repository's own.

    Returns:
        What to do next.

    Raises:
        UsageError: The name is taken or none.
    """
    root = workspace.root
    folder, test = root / "components" / name, root / "tests" / "components" / name / f"test_{name}.py"
    names.check(name, _LONGEST_NAME, "component", "deduplicate")
    names.check_free(root, name, folder)
    package = f"kfp_ct.components.{name}" if (root / "kfp_ct" / "components").is_dir() else f"components.{name}"
    try:
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        for file in ("component.py", "work.py"):
            (folder / file).write_text(_filled(f"{file}.template", name, package))
        test.parent.mkdir(parents=True, exist_ok=True)
        test.write_text(_filled("component_test.py.template", name, package))
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    lines = [f"components/{name}: component.py (the interface), work.py (the work), {test.relative_to(root)}"]
    if _add_row(root / "README.md", name):
        lines.append("README.md has its row.")
    lines.append(f"next: .venv-components/bin/python -m pytest {test.relative_to(root)}, which says what to write")
    return "\n".join(lines)


def _filled(template: str, name: str, package: str) -> str:
    # In the order that the linter wants, which hangs on the name.
    imports = sorted([f"from {package} import work", "from kfp_ct.base.errors import $error"])
    text = (TEMPLATES / template).read_text()
    for indent, error in (("    ", "reported"), ("", "DataError")):
        lines = "\n".join(f"{indent}{line}" for line in imports).replace("$error", error)
        text = text.replace(f"{indent}$imports_of_{error}", lines)
    return Template(text).substitute(name=name)


def _add_row(readme: Path, name: str) -> bool:
    """Adds a component's row to the table of components; returns whether there is such a table."""
    text = readme.read_text() if readme.is_file() else ""
    table = _LAST_ROW.search(text)
    if table is None:
        return False
    readme.write_text(text[: table.end()] + Template(_ROW).substitute(name=name) + "\n" + text[table.end() :])
    return True
