"""Workload F: the flights' year, in one module that TFX's Transform and Trainer take as they are.

Carrier and airports by vocabulary, small integers as they are, distance and departure standardised, arrival in ten
buckets; embeddings of width 8, layers of 64 and 32, Adam, steps of 512.
"""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.tfxio import dataset_options

LABEL = "late"
VOCABULARIES = ("carrier", "origin", "dest")
SMALL = {"month": 13, "day": 32, "hour": 24}
SCALED = ("distance", "sched_dep_time")
BUCKETED, BUCKETS = "sched_arr_time", 10
RAW = (*VOCABULARIES, *SMALL, *SCALED, BUCKETED)
BATCH_ROWS, WIDTH = 512, 8


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Turns raw columns into features `[n]`."""
    features = {name: _column(inputs[name], 0) for name in SMALL}
    for name in VOCABULARIES:
        features[name] = tft.compute_and_apply_vocabulary(
            _column(inputs[name], ""), num_oov_buckets=1, vocab_filename=name
        )
    for name in SCALED:
        features[name] = tft.scale_to_z_score(tf.cast(_column(inputs[name], 0), tf.float32))
    features[BUCKETED] = tft.bucketize(_column(inputs[BUCKETED], 0), BUCKETS)
    features[LABEL] = _column(inputs[LABEL], 0)
    return features


def run_fn(fn_args: Any) -> None:
    """Trains for `fn_args.train_steps` and saves a model that takes serialized examples."""
    tf.keras.utils.set_random_seed(1)
    output = tft.TFTransformOutput(fn_args.transform_graph_path)
    model = build(output)
    model.fit(
        _rows(fn_args.train_files, fn_args, output),
        steps_per_epoch=fn_args.train_steps,
        callbacks=getattr(fn_args, "callbacks", []),  # TFX has none
        verbose=0,
    )
    model.transform = output.transform_features_layer()
    specs = {name: spec for name, spec in output.raw_feature_spec().items() if name in RAW}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed = model.transform(tf.io.parse_example(examples, specs))
        return {"probability": model({name: transformed[name] for name in RAW})}

    tf.saved_model.save(model, fn_args.serving_model_dir, signatures={"serving_default": serve})


def build(output: tft.TFTransformOutput) -> tf.keras.Model:
    """Builds the model on transformed features."""
    layers = tf.keras.layers
    sizes = {name: output.vocabulary_size_by_name(name) + 1 for name in VOCABULARIES} | SMALL | {BUCKETED: BUCKETS}
    categories = {name: layers.Input((), name=name, dtype="int64") for name in sizes}
    numbers = {name: layers.Input((), name=name, dtype="float32") for name in SCALED}
    embedded = [layers.Embedding(size, WIDTH)(categories[name]) for name, size in sizes.items()]
    values = [layers.Reshape((1,))(each) for each in numbers.values()]
    hidden = layers.Concatenate()([*embedded, *values])
    for width in (64, 32):
        hidden = layers.Dense(width, activation="relu")(hidden)
    model = tf.keras.Model({**categories, **numbers}, layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(tf.keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=[tf.keras.metrics.AUC(name="auc")])
    return model


def _rows(files: list[str], fn_args: Any, output: tft.TFTransformOutput) -> tf.data.Dataset:
    options = dataset_options.TensorFlowDatasetOptions(BATCH_ROWS, shuffle_seed=1, label_key=LABEL)
    return fn_args.data_accessor.tf_dataset_factory(files, options, output.transformed_metadata.schema)


def _column(values: tf.Tensor | tf.SparseTensor, missing: int | str) -> tf.Tensor:
    """`[n, 1]`, sparse where a column is optional → `[n]`."""
    if isinstance(values, tf.SparseTensor):
        shape = [values.dense_shape[0], 1]
        values = tf.sparse.to_dense(tf.SparseTensor(values.indices, values.values, shape), missing)
    return tf.reshape(values, [-1])
