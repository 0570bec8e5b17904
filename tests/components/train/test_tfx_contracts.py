"""What modules for TFX take for granted: KerasTuner's config as hyperparameters, neighbours, names of tfx."""

import importlib.util

import keras_tuner
import pytest
import tensorflow as tf

import small_examples
from kfp_ct.base.errors import TrainingError
from kfp_ct.components.transform import preprocessing
from kfp_ct.data import user_code
from kfp_ct.data.hyperparameter_values import HyperparameterValues


def test_hyperparameters_are_plain_values_and_kerastuners_config():
    values = HyperparameterValues(learning_rate=0.01, num_layers=2, hidden=[8, 4])
    assert dict(**values) == {"learning_rate": 0.01, "num_layers": 2, "hidden": [8, 4]}
    hp = keras_tuner.HyperParameters.from_config(values)
    assert hp.get("num_layers") == 2
    assert hp.Choice("learning_rate", [0.1, 0.01]) == 0.01
    with pytest.raises(KeyError, match="dropout"):
        values["dropout"]


def test_no_hyperparameters_are_none_as_where_tfx_has_no_tuner():
    assert not HyperparameterValues()


def test_a_module_by_file_imports_its_neighbours(tmp_path):
    small_examples.write_text(tmp_path / "neighbour_of_features.py", "ANSWER = 42\n")
    source = "import neighbour_of_features\n\ndef run_fn(fn_args):\n    return neighbour_of_features.ANSWER\n"
    module = small_examples.write_text(tmp_path / "module_with_neighbour.py", source)
    assert user_code.load_function(module, "run_fn")(None) == 42


@pytest.mark.skipif(importlib.util.find_spec("tfx") is not None, reason="tfx is installed")
def test_names_of_annotations_are_there_without_tfx(tmp_path):
    source = """
from tfx import v1 as tfx
from tfx.components.trainer.executor import TrainerFnArgs
from tfx.components.trainer.fn_args_utils import DataAccessor, FnArgs

def tuner_fn(fn_args: tfx.components.FnArgs) -> tfx.components.TunerFnResult:
    return tfx.components.TunerFnResult(tuner=1, fit_kwargs={})
"""
    module = small_examples.write_text(tmp_path / "annotated_for_tfx.py", source)
    assert user_code.load_function(module, "tuner_fn")(None).tuner == 1


def test_a_preprocessing_fn_may_take_a_configuration(tmp_path):
    source = "def preprocessing_fn(inputs, custom_config):\n    return {'x': inputs['x'], **custom_config}\n"
    module = small_examples.write_text(tmp_path / "configured_features.py", source)
    assert list(preprocessing.load(module)({"x": tf.constant([1])})) == ["x"]


def test_an_error_of_keras_3_names_the_switch(tmp_path):
    module = small_examples.write_text(
        tmp_path / "for_keras_2.py",
        "import keras, tensorflow as tf\n\ndef run_fn(fn_args):\n    tf.reshape(keras.Input((2,)), [-1])\n",
    )
    with pytest.raises(TrainingError, match="KerasTensor"), user_code.failing_as(TrainingError, module, "run_fn"):
        user_code.load_function(module, "run_fn")(None)
    with pytest.raises(TrainingError, match=r"fix: .*put `keras: 2` into the settings"):  # noqa: SIM117
        with user_code.failing_as(TrainingError, module, "run_fn"):
            user_code.load_function(module, "run_fn")(None)
