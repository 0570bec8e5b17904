"""Modules of users that train a model on small_examples, as text."""

# Keras 3, callbacks, a raw-feature signature: what this library's own documentation shows.
MODULE = """
import keras, os, signal
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

def dataset(fn_args, files):
    options = tfxio.TensorFlowDatasetOptions(batch_size=200, num_epochs=1, label_key="label")
    return fn_args.data_accessor.tf_dataset_factory(files, options)

def build():
    inputs = {name: keras.Input((), name=name) for name in ("size_xf", "weight_xf")}
    joined = keras.layers.Concatenate()([keras.ops.expand_dims(value, 1) for value in inputs.values()])
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(joined))

def fit(fn_args, model, **more):
    train = dataset(fn_args, fn_args.train_files)
    features = lambda x, y: ({name: x[name] for name in ("size_xf", "weight_xf")}, y)
    epochs = fn_args.hyperparameters.get("epochs", 2)
    more["callbacks"] = [*fn_args.callbacks, *more.get("callbacks", [])]
    model.compile("adam", "binary_crossentropy", metrics=["AUC"], run_eagerly=True)
    model.fit(train.map(features), epochs=epochs, shuffle=False, verbose=0, **more)

def save(fn_args, model):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name) for name in ("size_xf", "weight_xf")])
    def serve(size_xf, weight_xf):
        return {"probability": model({"size_xf": size_xf, "weight_xf": weight_xf})}
    module = tf.Module()
    module.model = model
    tf.saved_model.save(module, fn_args.serving_model_dir, {"serving_default": serve})

def run_fn(fn_args):
    keras.utils.set_random_seed(1)
    model = build()
    fit(fn_args, model)
    save(fn_args, model)
"""

# Written as TFX's own examples are: Keras 2, steps, an endless dataset, the TFT layer in a tf.Example signature.
TFX_MODULE = """
from typing import List
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.keras_lib import tf_keras
from tfx_bsl.public import tfxio

_LABEL_KEY = "label"

def _input_fn(file_pattern: List[str], data_accessor, tf_transform_output, batch_size=200):
    return data_accessor.tf_dataset_factory(
        file_pattern,
        tfxio.TensorFlowDatasetOptions(batch_size=batch_size, label_key=_LABEL_KEY),
        tf_transform_output.transformed_metadata.schema,
    ).repeat()

def _get_serve_tf_examples_fn(model, tf_transform_output):
    model.tft_layer = tf_transform_output.transform_features_layer()

    @tf.function(input_signature=[tf.TensorSpec(shape=[None], dtype=tf.string, name="examples")])
    def serve_tf_examples_fn(serialized_tf_examples):
        feature_spec = tf_transform_output.raw_feature_spec()
        feature_spec.pop(_LABEL_KEY)
        parsed_features = tf.io.parse_example(serialized_tf_examples, feature_spec)
        transformed_features = model.tft_layer(parsed_features)
        return model(transformed_features)

    return serve_tf_examples_fn

def _build_keras_model():
    inputs = {key: tf_keras.layers.Input(shape=(1,), name=key) for key in ("size_xf", "weight_xf", "colour_xf")}
    deep = tf_keras.layers.concatenate(list(inputs.values()))
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(1, activation="sigmoid")(deep))
    model.compile(loss="binary_crossentropy", optimizer=tf_keras.optimizers.Adam(0.05), metrics=["accuracy"])
    return model

def run_fn(fn_args):
    tf_transform_output = tft.TFTransformOutput(fn_args.transform_output)
    train_dataset = _input_fn(fn_args.train_files, fn_args.data_accessor, tf_transform_output)
    eval_dataset = _input_fn(fn_args.eval_files, fn_args.data_accessor, tf_transform_output)
    model = _build_keras_model()
    model.fit(
        train_dataset,
        steps_per_epoch=fn_args.train_steps,
        validation_data=eval_dataset,
        validation_steps=fn_args.eval_steps,
        callbacks=[tf_keras.callbacks.TensorBoard(log_dir=fn_args.model_run_dir, update_freq="epoch")],
        verbose=0,
    )
    signatures = {"serving_default": _get_serve_tf_examples_fn(model, tf_transform_output)}
    model.save(fn_args.serving_model_dir, save_format="tf", signatures=signatures)
"""


# As modules from before TFX's data accessor read materialised rows: gzipped TFRecord files, by tf.data itself.
MODULE_OF_TFRECORD = TFX_MODULE.replace(
    TFX_MODULE[TFX_MODULE.index("def _input_fn") : TFX_MODULE.index("def _get_serve_tf_examples_fn")],
    """
def _gzip_reader_fn(filenames):
    return tf.data.TFRecordDataset(filenames, compression_type="GZIP")

def _input_fn(file_pattern: List[str], data_accessor, tf_transform_output, batch_size=200):
    return tf.data.experimental.make_batched_features_dataset(
        file_pattern=file_pattern,
        batch_size=batch_size,
        features=tf_transform_output.transformed_feature_spec().copy(),
        reader=_gzip_reader_fn,
        label_key=_LABEL_KEY,
    )

""",
)
