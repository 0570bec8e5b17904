"""Writes a small SavedModel with raw-feature inputs: `python saved_models.py FOLDER CONSTANT`."""

import sys
from pathlib import Path


def save(folder: Path, constant: float) -> None:
    """Saves a model whose only prediction is `constant`; its signature "echo" returns what it was given."""
    import tensorflow as tf

    inputs = {
        "carrier": tf.TensorSpec([None], tf.string, "carrier"),
        "hour": tf.TensorSpec([None], tf.int64, "hour"),
        "distance": tf.TensorSpec([None, 1], tf.float32, "distance"),
    }
    module = tf.Module()
    module.constant = tf.Variable(float(constant))

    @tf.function(input_signature=[inputs])
    def predict(features):
        tf.debugging.assert_less(features["hour"], tf.constant(24, tf.int64), "hour must be below 24")
        return {"probability": 0.0 * tf.cast(features["hour"], tf.float32)[:, None] + module.constant}

    @tf.function(input_signature=[inputs])
    def echo(features):
        return {name: tf.identity(value) for name, value in features.items()}

    signatures = {
        name: tf.function(lambda f=function, **features: f(features)).get_concrete_function(**inputs)
        for name, function in (("serving_default", predict), ("echo", echo))
    }
    tf.saved_model.save(module, str(folder), signatures)


if __name__ == "__main__":
    save(Path(sys.argv[1]), float(sys.argv[2]))
