"""Which task server a task is given to: the one that has imported TensorFlow, or the light one."""

import pytest

from kfp_ct.local.task_servers import needs_tensorflow


@pytest.fixture
def root(tmp_path):
    """A repository with components of its own, and a package called like one of the library's."""
    files = {
        "components/embed/work.py": "import tensorflow as tf\n",
        "components/count/work.py": "from collections import Counter\n",
        "steps/score.py": "def score():\n    from keras import Model\n",
        "train/work.py": "import tensorflow as tf\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("imported", "heavy"),
    [
        pytest.param("from kfp_ct.components.train import work", True, id="the library's"),
        pytest.param("from kfp_ct.components.resolve_model import work", False, id="the library's, without TensorFlow"),
        pytest.param("from components.embed import work", True, id="their own"),
        pytest.param("from components.embed.work import embed", True, id="a module of their own"),
        pytest.param("import components.count.work", False, id="their own, without TensorFlow"),
        pytest.param("from steps.score import score", True, id="in a function, in another package"),
        pytest.param("import tensorflow_transform as tft", True, id="the task itself"),
        pytest.param("import json\n    from pathlib import Path", False, id="neither"),
        pytest.param("from components.gone import work", False, id="not there"),
    ],
)
def test_a_task_that_imports_tensorflow_is_told_by_its_sources(root, imported, heavy):
    command = ["sh", "-c", f"def step():\n    {imported}\n    work()\n"]
    assert needs_tensorflow(command, root) is heavy
