"""A small search with a real Keras Tuner: a user's module, and what the component is asked."""

from kfp_ct.components.tune import work

MODULE = """
import os, signal, time
import keras
import keras_tuner
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.tfxio import dataset_options
from typing import NamedTuple

class TunerFnResult(NamedTuple):
    tuner: object
    fit_kwargs: dict

def rows(fn_args, files):
    options = dataset_options.TensorFlowDatasetOptions(64, num_epochs=1, label_key="label")
    schema = tft.TFTransformOutput(fn_args.transform_graph_path).transformed_metadata.schema
    return fn_args.data_accessor.tf_dataset_factory(files, options, schema)

def build(hp):
    units = hp.Int("units", 2, 8)
    rate = hp.Choice("rate", [0.1, 0.01])
    size, weight = keras.layers.Input((), name="size_xf"), keras.layers.Input((), name="weight_xf")
    stacked = keras.layers.Concatenate()([keras.layers.Reshape((1,))(each) for each in (size, weight)])
    hidden = keras.layers.Dense(units, "relu")(stacked)
    model = keras.Model({"size_xf": size, "weight_xf": weight}, keras.layers.Dense(1, "sigmoid")(hidden))
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"], run_eagerly=True)
    SABOTAGE
    return model

def run_fn(fn_args):
    raise NotImplementedError

def tuner_fn(fn_args):
    def only(features, label):
        return {name: tf.cast(features[name], tf.float32) for name in ("size_xf", "weight_xf")}, label
    tuner = keras_tuner.RandomSearch(
        build, objective="val_accuracy", max_trials=4, seed=3, directory=fn_args.working_dir, project_name="small"
    )
    train, held = (rows(fn_args, files).map(only) for files in (fn_args.train_files, fn_args.eval_files))
    assert "train_steps" not in fn_args.hyperparameters, "it is the library's own name, as in run_fn"
    epochs = fn_args.hyperparameters.get("epochs", 1)
    return TunerFnResult(tuner, {"x": train, "validation_data": held, "epochs": epochs, "shuffle": False})
"""


def write_module(folder, sabotage="", name="small_tuner"):
    """Writes the user's module, with lines of Python in the middle of its build function."""
    path = folder / f"{name}.py"
    path.write_text(MODULE.replace("SABOTAGE", sabotage.replace("\n", "\n    ")))
    return str(path)


def request(prepared, module, tuning, checkpoints="", **hyperparameters):
    """Returns what the component is asked."""
    examples, schema, graph = prepared
    return work.TuningRequest(examples, graph, schema, module, hyperparameters, tuning, checkpoints)
