"""Random repositories: whatever Python really imports is in the import closure."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from depth import tries
from small_repositories import closure, write

# A tree with packages in packages, one of them without __init__.py.
FILES = (
    "top.py", "a/__init__.py", "a/x.py", "a/y.py", "a/b/__init__.py", "a/b/x.py", "a/b/z.py", "plain/x.py",
    "plain/deep/y.py", "c/__init__.py", "c/__main__.py", "c/w.py",
)  # fmt: skip
MODULES = tuple(file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in FILES)
LEAVES = ("x", "y", "z", "w", "b", "deep", "NAME", "*")
# Imports what is named, and says which of our files were executed; stands alone, whatever the environment has.
TRACE = """
import json, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    try:
        __import__(name)
    except ImportError:
        pass
found = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
print(json.dumps(sorted(file for file in found if file and file.startswith(sys.argv[1]))))
"""


def attempted(statement: str) -> str:
    """An import that may fail, as those of optional packages do."""
    return f"try:\n    {statement}\nexcept (ImportError, AttributeError):\n    pass\n"


absolute = st.sampled_from(MODULES).map(lambda name: f"import {name}")
renamed = st.sampled_from(MODULES).map(lambda name: f"import {name} as other")
several = st.lists(st.sampled_from(MODULES), min_size=2, max_size=3).map(lambda names: f"import {', '.join(names)}")
members = st.tuples(st.sampled_from(MODULES), st.sampled_from(LEAVES)).map(
    lambda pair: "from {} import {}".format(*pair)
)
relative = st.tuples(st.integers(1, 3), st.sampled_from(("", "x", "y", "b", "b.z")), st.sampled_from(LEAVES)).map(
    lambda each: f"from {'.' * each[0]}{each[1]} import {each[2]}"
)
by_name = st.sampled_from(MODULES).map(lambda name: f"__import__('importlib').import_module('{name}')")
statements = st.one_of(absolute, renamed, several, members, relative, by_name)


def source(found: list[tuple[str, bool]]) -> str:
    """A module: some imports at its top, others in a function that it calls. A star is only allowed at the top."""
    top = "".join(attempted(statement) for statement, lazy in found if not lazy or "*" in statement)
    inside = [statement for statement, lazy in found if lazy and "*" not in statement]
    body = "".join(f"    {line}\n" for statement in inside for line in attempted(statement).splitlines())
    return f"NAME = 1\n{top}def lazy():\n{body}    return 1\nlazy()\n"


trees = st.fixed_dictionaries(
    {file: st.lists(st.tuples(statements, st.booleans()), max_size=3).map(source) for file in FILES}
)


@settings(max_examples=tries(20, 60))
@given(trees, st.sampled_from(MODULES))
def test_what_python_imports_is_in_the_closure(tree, entry):
    with tempfile.TemporaryDirectory() as folder:
        root = write(Path(folder).resolve(), tree)
        command = [sys.executable, "-I", "-S", "-c", TRACE, str(root), entry]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        executed = {str(Path(each).relative_to(root)) for each in json.loads(result.stdout)}
        assert FILES[MODULES.index(entry)] in executed
        found = {str(path.relative_to(root)) for path in closure(root).of_module(entry)}
        assert executed <= found, executed - found
