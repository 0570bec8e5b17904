"""Which task server a task is given to: the one that has imported TensorFlow, or the light one."""

import pytest

from kfp_ct.local.task_servers import expected_modules, needs_tensorflow


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


@pytest.mark.parametrize(
    ("options", "heavy"),
    [('{"format": "tfrecord"}', True), ('{"format": "parquet"}', False)],
    ids=["TFRecord", "Parquet"],
)
def test_ingest_waits_for_tensorflow_only_where_it_needs_it(root, options, heavy):
    source = 'def step():\n    """{"format": "tfrecord"} writes it."""\n    from kfp_ct.components.ingest import work\n'
    command = ["sh", "-c", "program", source, "--executor_input", f'{{"inputs": {options}}}']
    assert needs_tensorflow(command, root) is heavy


def test_servers_import_what_tasks_of_the_library_will_and_nothing_of_a_repository(root):
    commands = [[f"def step():\n    from {each} import work\n"] for each in (
        "kfp_ct.components.train", "kfp_ct.components.ingest", "components.embed", "kfp_ct.components.train"
    )]  # fmt: skip
    assert expected_modules(commands, root) == {
        "light": ["kfp_ct.components.ingest.work"], "heavy": ["kfp_ct.components.train.work"]
    }  # fmt: skip
