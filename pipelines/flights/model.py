"""The flights' model: wide and deep, the probability that a flight arrives more than 15 minutes late."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.tfxio import dataset_options

from kfp_ct.data import batches, hyperparameter_values
from kfp_ct.data.transform_graph import TransformGraph
from pipelines.flights.features import BUCKETS, CATEGORIES, LABEL, NUMBERS, SERVED

# At most this many held-out rows are kept in memory to know when to stop.
HELD_OUT_ROWS = 100_000


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """What the settings may say about training.

    Attributes:
        epochs: Passes over the data at most; training stops earlier when the held-out days get worse.
        batch_size: Rows a step.
        learning_rate: Adam's first step size; it falls to zero along a cosine.
        hidden: Width of each hidden layer.
        dropout: Share of each hidden layer's outputs left out in training.
        embedding: Numbers that stand for a category.
        patience: Epochs without a gain after which training stops.
        seed: Of the weights, the rows' order and dropout.
        shuffle_labels: Trains on permuted labels: a model that must be refused, to try the gates with.
    """

    epochs: int = 3
    batch_size: int = 1024
    learning_rate: float = 2e-3
    hidden: tuple[int, ...] = (128, 64)
    dropout: float = 0.2
    embedding: int = 8
    patience: int = 2
    seed: int = 1
    shuffle_labels: bool = False


def run_fn(fn_args: Any) -> None:
    """Trains on the train split and saves the model; TFX's contract.

    The eval split is not looked at: it is what the model is judged on. To know when to stop, every tenth day of
    the train split is held out instead; whole days, because flights of one day share its weather.
    """
    parameters = hyperparameter_values.filled(Hyperparameters, fn_args.hyperparameters)
    keras.utils.set_random_seed(parameters.seed)
    output = tft.TFTransformOutput(fn_args.transform_graph_path)
    train, held_out = _split(fn_args, parameters)
    if parameters.shuffle_labels:
        train = train.map(lambda features, label: (features, tf.random.shuffle(label, seed=parameters.seed)))
    steps = int(train.cardinality())
    model = compiled(output, parameters, parameters.epochs * steps)
    # A window of a few days may hold out none.
    watched = "loss" if held_out is None else "val_loss"
    stop = keras.callbacks.EarlyStopping(watched, mode="min", patience=parameters.patience, restore_best_weights=True)
    model.fit(
        train.repeat(),  # one iterator for all epochs: to make one costs as much as hundreds of steps
        steps_per_epoch=steps,
        validation_data=held_out,
        validation_batch_size=8192,
        epochs=parameters.epochs,
        callbacks=[stop, *fn_args.callbacks],
        shuffle=False,  # the dataset is
        verbose=0,
    )
    save(model, output, batches.read_schema(fn_args.schema_path), fn_args.serving_model_dir)


class TunerFnResult(NamedTuple):
    """What tuner_fn returns; TFX's, which is not installed everywhere."""

    tuner: Any
    fit_kwargs: dict[str, Any]


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """Searches what the settings do not say; TFX's contract. Scores by the held-out days, as run_fn stops by them."""
    import keras_tuner

    given = hyperparameter_values.filled(Hyperparameters, fn_args.hyperparameters)
    tuning = fn_args.custom_config.get("tuning", {})
    output = tft.TFTransformOutput(fn_args.transform_graph_path)
    train, held_out = _split(fn_args, given)
    steps = int(train.cardinality())

    def hypermodel(hp: Any) -> keras.Model:
        keras.utils.set_random_seed(given.seed)
        ranges: dict[str, Callable[[], Any]] = {
            "learning_rate": lambda: hp.Float("learning_rate", 5e-4, 1e-2, sampling="log"),
            "dropout": lambda: hp.Float("dropout", 0.0, 0.5, step=0.1),
            "embedding": lambda: hp.Choice("embedding", [4, 8, 16]),
        }
        searched = {name: value() for name, value in ranges.items() if name not in fn_args.hyperparameters}
        return compiled(output, dataclasses.replace(given, **searched), given.epochs * steps)

    tuner = keras_tuner.RandomSearch(
        hypermodel,
        objective=keras_tuner.Objective(tuning.get("objective") or "val_auc", "max"),
        max_trials=tuning.get("trials") or 8,
        seed=given.seed,
        directory=fn_args.working_dir,
        project_name="flights",
    )
    validation = {"validation_data": held_out, "validation_batch_size": 8192}
    training = {"x": train.repeat(), "steps_per_epoch": steps, "epochs": given.epochs, "shuffle": False}
    return TunerFnResult(tuner, {**training, **validation})


def compiled(output: tft.TFTransformOutput, parameters: Hyperparameters, steps: int) -> keras.Model:
    """Builds the model with its optimizer, whose step size falls to zero over `steps`."""
    model = build(output, parameters)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(parameters.learning_rate, steps))
    # XLA would compile once a batch size, and the held-out days make every batch another size.
    model.compile(optimizer, "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")], jit_compile=False)
    return model


def build(output: tft.TFTransformOutput, parameters: Hyperparameters) -> keras.Model:
    """Builds the model on transformed features.

    Deep: embedded categories, standardised numbers and embedded buckets of them, through hidden layers. Wide: one
    weight a bucket, so that what a single number says needs no hidden layer.
    """
    layers = keras.layers
    sizes = {name: output.vocabulary_size_by_name(name) + 1 for name in CATEGORIES} | {"day_of_week": 8}
    categories = {name: layers.Input((), name=name, dtype="int64") for name in sizes}
    numbers = layers.Input((len(NUMBERS),), name="numbers")
    buckets = layers.Input((len(NUMBERS),), name="buckets", dtype="int64")
    # One table holds the buckets of all numbers, one after the other; the last of each is "missing".
    rows = buckets + np.arange(len(NUMBERS)) * (BUCKETS + 1)
    table = len(NUMBERS) * (BUCKETS + 1)
    embedded = [layers.Embedding(size, parameters.embedding)(categories[name]) for name, size in sizes.items()]
    deep = layers.Concatenate()([*embedded, numbers, layers.Flatten()(layers.Embedding(table, 4)(rows))])
    for width in parameters.hidden:
        deep = layers.Dropout(parameters.dropout)(layers.Dense(width, activation="relu")(deep))
    wide = layers.Flatten()(layers.Embedding(table, 1, embeddings_initializer="zeros")(rows))
    probability = layers.Dense(1, activation="sigmoid", name="probability")(layers.Concatenate()([deep, wide]))
    return keras.Model({**categories, "numbers": numbers, "buckets": buckets}, probability)


class Served(tf.Module):
    """Transform graph and model in one, asked with raw columns as they are known before departure."""

    def __init__(self, model: keras.Model, output: tft.TFTransformOutput, specs: dict[str, Any]) -> None:
        super().__init__()
        self.model, self.transform, self.specs = model, TransformGraph(output), specs

    def raw(self, columns: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Predicts from one tensor `[n]` a column; missing is NaN."""
        return self.predict(batches.to_features(columns, self.specs))

    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Predicts from serialized tf.Examples `[n]`."""
        return self.predict(tf.io.parse_example(examples, self.specs))

    def predict(self, features: dict[str, Any]) -> dict[str, tf.Tensor]:
        """Returns the probability of a late arrival, `[n, 1]`."""
        transformed = self.transform(features)
        inputs = {name: transformed[name] for name in self.model.input}
        return {"probability": self.model(inputs, training=False)}


def save(model: keras.Model, output: tft.TFTransformOutput, schema: Any, path: str) -> None:
    """Saves the model with the signatures `serving_default` (raw columns) and `serving_examples` (tf.Examples)."""
    known = batches.feature_specs(schema, environment="SERVING")
    specs = {name: known[name] for name in SERVED}
    served = Served(model, output, specs)
    columns = {name: tf.TensorSpec([None], spec.dtype, name) for name, spec in specs.items()}
    signatures = {
        "serving_default": tf.function(served.raw, autograph=False).get_concrete_function(columns),
        "serving_examples": tf.function(served.examples, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, "examples")
        ),
    }
    tf.saved_model.save(served, path, signatures=signatures)


def _split(fn_args: Any, parameters: Hyperparameters) -> tuple[tf.data.Dataset, Any]:
    """Returns the train split's batches without every tenth day, and the rows of those days; None if there are none."""
    train = _rows(fn_args, parameters, lambda day: day % 10 != 0)
    held_out = _rows(fn_args, parameters, lambda day: day % 10 == 0).rebatch(HELD_OUT_ROWS)
    return train, next(iter(held_out), None)


def _rows(fn_args: Any, parameters: Hyperparameters, wanted: Callable[[tf.Tensor], tf.Tensor]) -> tf.data.Dataset:
    """Batches of the train split's rows on wanted days; a batch has as many rows as are left of `batch_size`."""
    options = dataset_options.TensorFlowDatasetOptions(
        parameters.batch_size, num_epochs=1, shuffle_seed=parameters.seed, label_key=LABEL
    )

    def select(features: dict[str, tf.Tensor], label: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        chosen = wanted(features.pop("day"))
        rows = {name: tf.boolean_mask(values, chosen) for name, values in features.items()}
        return rows, tf.boolean_mask(label, chosen)

    dataset = fn_args.data_accessor.tf_dataset_factory(fn_args.train_files, options)
    return dataset.map(select, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
