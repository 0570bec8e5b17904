"""One line of an exception says what is wrong, whatever its library puts around, and where its author's code is."""

import sys

import pytest

from kfp_ct.base import exception_texts

KERAS = (
    "Exception encountered when calling Sequential.call().\n\n"
    "\x1b[1mInput 0 of layer 'dense' is incompatible with the layer\x1b[0m\n\n"
    "Arguments received by Sequential.call():\n  • inputs=tf.Tensor(shape=(None, 3), dtype=float32)"
)
GRAPH = (
    "Graph execution error:\n\nDetected at node ParseExample/ParseExampleV2 defined at (most recent call last):\n"
    '  File "model.py", line 9, in <module>\n\n'
    "Name: <unknown>, Feature: a (data type: float) is required but could not be found.\n"
    "\t [[{{node ParseExample/ParseExampleV2}}]] [Op:__inference_g_11]"
)
AUTOGRAPH = (
    'in user code:\n\n    File "features.py", line 3, in preprocessing_fn  *\n        raise ValueError("no unit")\n\n'
    "    ValueError: no such unit: parsec\n"
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(ValueError("no such unit\n\nlong advice"), "ValueError: no such unit", id="first line"),
        pytest.param(ValueError("\n \n first"), "ValueError: first", id="empty lines"),
        pytest.param(ValueError(), "ValueError", id="nothing"),
        pytest.param(KeyError("rate"), "KeyError: rate", id="key"),
        pytest.param(
            ValueError(KERAS), "ValueError: Input 0 of layer 'dense' is incompatible with the layer", id="Keras"
        ),
        pytest.param(
            RuntimeError(GRAPH),
            "RuntimeError: Name: <unknown>, Feature: a (data type: float) is required but could not be found.",
            id="graph",
        ),
        pytest.param(
            RuntimeError("{{function_node __wrapped__X}} indices[0] = 9 is not in [0, 3) [Op:GatherV2] name: "),
            "RuntimeError: indices[0] = 9 is not in [0, 3)",
            id="eager operation",
        ),
        pytest.param(ValueError(AUTOGRAPH), "ValueError: no such unit: parsec", id="AutoGraph"),
        pytest.param(ValueError("x" * 2_000), f"ValueError: {'x' * 500}…", id="half a page"),
    ],
)
def test_what_is_wrong_in_one_line(error, said):
    assert exception_texts.described(error) == said


def test_the_deepest_place_of_ones_own(tmp_path):
    (tmp_path / "helper_of_mine.py").write_text("import json\n\ndef read(text):\n    return json.loads(text)\n")
    sys.path.insert(0, str(tmp_path))
    try:
        from helper_of_mine import read

        with pytest.raises(ValueError, match="Expecting") as caught:
            read("{")
    finally:
        sys.path.remove(str(tmp_path))
    place = exception_texts.own_place(caught.value)
    assert place == f"{tmp_path}/helper_of_mine.py, line 4: return json.loads(text)"


@pytest.mark.parametrize(
    ("file", "own"),
    [
        ("<stdin>", False),
        ("/usr/lib/python3/site-packages/keras/layer.py", False),
        (exception_texts.__file__, False),
        (sys.modules["json"].__file__, False),
        ("/home/me/shop/pipelines/shop/model.py", True),
    ],
)
def test_whose_a_file_is(file, own):
    assert exception_texts.is_own(file) is own
