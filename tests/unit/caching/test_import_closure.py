"""The import closure: every file that running a module may read or execute, and none it cannot."""

import pytest

from small_repositories import closure, named, write

PROJECT = {
    "pipelines/__init__.py": "",
    "pipelines/flights/__init__.py": "",
    "pipelines/flights/features.py": "NAMES = []\n",
    "pipelines/flights/eval_config.pbtxt": "x",
    "pipelines/flights/vocabulary.txt": "a",
    "pipelines/other/__init__.py": "",
    "pipelines/other/model.py": "",
    "shared/__init__.py": "",
    "shared/layers.py": "",
    "shared/deep/__init__.py": "",
    "shared/deep/wide.py": "",
    "shared/data/table.csv": "1",
    "lone.py": "",
    "components/__init__.py": "",
    "components/own/__init__.py": "",
    "components/own/work.py": "",
}
MODEL = "pipelines/flights/model.py"
PACKAGES = {"pipelines/__init__.py", "pipelines/flights/__init__.py", MODEL}


def of_model(root, source):
    write(root, {**PROJECT, MODEL: source})
    return named(closure(root).of_module("pipelines.flights.model"), root) - PACKAGES


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("import tensorflow as tf", set(), id="a package of others"),
        pytest.param("import lone", {"lone.py"}, id="a module"),
        pytest.param("import shared.layers", {"shared/__init__.py", "shared/layers.py"}, id="a module of a package"),
        pytest.param(
            "from shared import layers, nothing", {"shared/__init__.py", "shared/layers.py"}, id="from a package"
        ),
        pytest.param("from . import features", {"pipelines/flights/features.py"}, id="a neighbour"),
        pytest.param("from .features import NAMES", {"pipelines/flights/features.py"}, id="a name of a neighbour"),
        pytest.param(
            "from ..other.model import x", {"pipelines/other/__init__.py", "pipelines/other/model.py"}, id="an uncle"
        ),
        pytest.param(
            "from shared import *",
            {"shared/__init__.py", "shared/layers.py", "shared/deep/__init__.py"},
            id="everything of a package",
        ),
        pytest.param("def f():\n    import lone", {"lone.py"}, id="inside a function"),
        pytest.param("try:\n    import x\nexcept ImportError:\n    import lone", {"lone.py"}, id="instead of another"),
        pytest.param("import importlib\nimportlib.import_module('lone')", {"lone.py"}, id="by a literal name"),
        pytest.param("__import__('shared.layers')", {"shared/__init__.py", "shared/layers.py"}, id="by __import__"),
        pytest.param("start([python, '-m', 'lone'])", {"lone.py"}, id="as a process"),
        pytest.param("start('python -m lone --fast')", {"lone.py"}, id="as a shell command"),
        pytest.param(
            "CLASS = 'shared.layers.Dense'", {"shared/__init__.py", "shared/layers.py"}, id="named in a string"
        ),
        pytest.param('"""Like shared.layers."""', set(), id="named in a docstring"),
        pytest.param("open('pipelines/flights/vocabulary.txt')", {"pipelines/flights/vocabulary.txt"}, id="a file"),
        pytest.param(
            "from pathlib import Path\nPath(__file__).parent / 'vocabulary.txt'",
            {"pipelines/flights/vocabulary.txt"},
            id="a file beside it",
        ),
        pytest.param(
            "from pathlib import Path\n_HERE = Path(__file__).parent\nx = (_HERE / 'vocabulary.txt').read_text()",
            {"pipelines/flights/vocabulary.txt"},
            id="a file beside it by a constant",
        ),
        pytest.param(
            "from pathlib import Path\nx = (Path(__file__).parent / name).read_text()",
            {"pipelines/flights/vocabulary.txt", "pipelines/flights/eval_config.pbtxt"},
            id="any file beside it",
        ),
        pytest.param(
            "import os\nx = os.path.join(os.path.dirname(__file__), '../../shared/data', 'table.csv')",
            {"shared/data/table.csv"},
            id="a file elsewhere by os.path",
        ),
        pytest.param(
            "from importlib import resources\nresources.files('shared.data')",
            {"shared/__init__.py", "shared/data/table.csv"}
            | {"pipelines/flights/vocabulary.txt", "pipelines/flights/eval_config.pbtxt"},
            id="files of a package",
        ),
        pytest.param("open('shared/data/')", {"shared/data/table.csv"}, id="a folder"),
        pytest.param("open('../../../')", set(), id="what the repository lies in"),
        pytest.param("frame.eval('a + b')\nrun_path = 1", set(), id="names that only look like loaders"),
    ],
)
def test_a_module_leads_to(tmp_path, source, expected):
    assert of_model(tmp_path, source) == expected


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import importlib\nimportlib.import_module(name)", id="by a variable"),
        pytest.param("from importlib import import_module as load\nload('lone')", id="under another name"),
        pytest.param("import importlib\nload = importlib.import_module", id="handed on"),
        pytest.param("import sys\nsys.path.insert(0, 'x')", id="from other folders"),
        pytest.param("import sys\nsys.path[:0] = ['x']", id="from other folders by a slice"),
        pytest.param("import runpy\nrunpy.run_path(p)", id="runpy"),
        pytest.param("exec(code)", id="exec"),
        pytest.param("this is no Python", id="unreadable"),
    ],
)
def test_what_cannot_be_told_leads_to_all_code_of_the_repository(tmp_path, source):
    found = of_model(tmp_path, source)
    assert {"pipelines/flights/features.py", "pipelines/other/model.py", "components/own/work.py"} <= found


def test_a_file_imports_its_neighbours_as_tfx_packages_them(tmp_path):
    write(tmp_path, {"models/taxi.py": "import helpers", "models/helpers.py": "import lone", "lone.py": ""})
    found = closure(tmp_path).of_file(tmp_path / "models/taxi.py")
    assert named(found, tmp_path) == {"models/taxi.py", "models/helpers.py", "lone.py"}


def test_circles_end(tmp_path):
    write(tmp_path, {"a.py": "import b", "b.py": "import a"})
    assert named(closure(tmp_path).of_module("a"), tmp_path) == {"a.py", "b.py"}


def test_a_package_without_an_init_is_one(tmp_path):
    write(tmp_path, {"plain/inner/a.py": "from plain.inner import b", "plain/inner/b.py": ""})
    assert named(closure(tmp_path).of_module("plain.inner.a"), tmp_path) == {"plain/inner/a.py", "plain/inner/b.py"}


def test_templates_count_by_name_with_what_they_include(tmp_path):
    write(
        tmp_path,
        {
            "kfp_ct/__init__.py": "",
            "kfp_ct/pages/__init__.py": "",
            "kfp_ct/pages/markup.py": "from pathlib import Path\nTEMPLATES = Path(__file__).parent / 'templates'\n",
            "kfp_ct/pages/templates/page.html": '{% include "style.css" %}',
            "kfp_ct/pages/templates/style.css": "",
            "kfp_ct/pages/templates/mine.html": '{% extends "page.html" %}{% from "blocks.html" import x %}',
            "kfp_ct/pages/templates/blocks.html": "",
            "kfp_ct/pages/templates/theirs.html": "",
            "mine.py": "from kfp_ct.pages.markup import render\nrender('mine.html', a=1)",
            "anything.py": "from kfp_ct.pages.markup import render\nrender(f'{name}.html')",
        },
    )
    below = "kfp_ct/pages/templates/"
    follow = closure(tmp_path)
    mine = {name.removeprefix(below) for name in named(follow.of_module("mine"), tmp_path) if name.startswith(below)}
    assert mine == {"page.html", "style.css", "mine.html", "blocks.html"}
    assert f"{below}theirs.html" in named(follow.of_module("anything"), tmp_path)
