"""Why a task failed, of what it wrote: its own message, else the exception and the line of the user's code."""

import pytest

from kfp_ct.local.task_output import TaskOutput

TRACEBACK = """\
some line
Traceback (most recent call last):
  File "/usr/lib/python3.11/runpy.py", line 198, in _run_module_as_main
  File "/home/me/shop/pipelines/shop/model.py", line 42, in build
    return tf_fn(x)
  File "/venv/site-packages/keras/src/utils.py", line 7, in handler
    raise e
ValueError: A KerasTensor cannot be used as input to a TensorFlow function.

What you should do instead is wrap `tf_fn` in a layer:

class MyLayer(Layer):
    def call(self, x):
        return tf_fn(x)

x = MyLayer()(x)"""


def reason(text, code=1):
    output = TaskOutput()
    for line in text.splitlines():
        output.add(line)
    output.exit_code = code
    return output.reason().splitlines()


def test_the_exception_stands_first_however_long_its_message_is():
    said = reason(TRACEBACK)
    assert said[:3] == [
        "ValueError: A KerasTensor cannot be used as input to a TensorFlow function.",
        "where: /home/me/shop/pipelines/shop/model.py, line 42",
        "stopped unexpectedly (exit code 1)",
    ]


def test_of_several_exceptions_the_last_counts():
    chained = f"{TRACEBACK}\n\nDuring handling of the above exception, another exception occurred:\n\n" + (
        'Traceback (most recent call last):\n  File "/home/me/other.py", line 3, in f\n    g()\nMyProblem: worse\n'
    )
    assert reason(chained)[:2] == ["MyProblem: worse", "where: /home/me/other.py, line 3"]


@pytest.mark.parametrize("line", ["note: all is well", "UserWarning: old", "progress: epoch 1: loss 0.1"])
def test_a_line_outside_of_a_traceback_is_no_exception(line):
    assert reason(line, code=137) == ["stopped unexpectedly (killed by signal 9)", line]


def test_a_tasks_own_message_wins_over_the_traceback_before_it():
    own = f"{TRACEBACK}\nerror: run_fn of shop.model fails: ValueError: no\n  where: model.py, line 42: f(x)\n"
    assert reason(own) == ["run_fn of shop.model fails: ValueError: no", "where: model.py, line 42: f(x)"]


def test_what_kfps_executor_says_of_the_input_is_not_the_last_word_of_a_task():
    began = (
        "<frozen runpy>:128: RuntimeWarning: 'kfp.dsl.executor_main' found in sys.modules after import of 'kfp.dsl'\n"
        "[KFP Executor 2026-11-29 11:47:56,626 INFO]: Looking for component `stop` in --component_module_path `c.py`\n"
        "[KFP Executor 2026-11-29 11:47:56,627 INFO]: Got executor_input:\n"
        '{\n    "inputs": {\n        "parameterValues": {}\n    }\n}\n'
    )
    assert reason(began) == ["stopped unexpectedly (exit code 1)"]
    assert reason(f"{began}the shop is closed\n") == ["stopped unexpectedly (exit code 1)", "the shop is closed"]
