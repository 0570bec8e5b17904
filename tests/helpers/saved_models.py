"""Writes small SavedModels: `python saved_models.py FOLDER CONSTANT`, or `FOLDER signatures` for many signatures."""

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


def save_slow(folder: Path) -> None:
    """Saves a model that counts to the number it is given, one step after the other."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "steps")])
    def count(steps):
        end = tf.reduce_max(steps)
        (reached,) = tf.while_loop(lambda i: i < end, lambda i: (i + 1,), (tf.constant(0, tf.int64),))
        return {"reached": reached + 0 * steps}

    tf.saved_model.save(tf.Module(), str(folder), count.get_concrete_function())


def save_signatures(folder: Path) -> None:
    """Saves a model of many signatures: of lists, of several outputs, of serialized examples, and of rows that depend.

    "lists" takes three numbers a row and gives three outputs; "ranked" gives each row its share of the whole request;
    "classes" and "values" take serialized tf.Examples with an integer `hour`; "serving_default" takes `hour` itself.
    """
    import tensorflow as tf

    def of_hours(hours):
        late = tf.cast(hours, tf.float32)[:, None] / 24.0
        return tf.concat([1.0 - late, late], 1)

    def parsed(serialized):
        spec = {"hour": tf.io.FixedLenFeature([], tf.int64)}
        return tf.io.parse_example(serialized, spec)["hour"]

    def labels(scores):
        return tf.tile(tf.constant([["in time", "late"]]), [tf.shape(scores)[0], 1])

    def lists(values):
        return {
            "scaled": values * 2.0,
            "sum": tf.reduce_sum(values, 1),
            "count": tf.shape(values)[1] + 0 * tf.cast(values[:, 0], tf.int32),
        }

    functions = {
        "serving_default": (lambda hour: {"scores": of_hours(hour)}, {"hour": tf.TensorSpec([None], tf.int64, "hour")}),
        "lists": (lists, {"values": tf.TensorSpec([None, 3], tf.float32, "values")}),
        "ranked": (lambda x: {"share": tf.nn.softmax(x)}, {"x": tf.TensorSpec([None], tf.float32, "x")}),
        "classes": (
            lambda inputs: {"classes": labels(of_hours(parsed(inputs))), "scores": of_hours(parsed(inputs))},
            {"inputs": tf.TensorSpec([None], tf.string, "inputs")},
        ),
        "values": (
            lambda inputs: {"outputs": of_hours(parsed(inputs))[:, 1]},
            {"inputs": tf.TensorSpec([None], tf.string, "inputs")},
        ),
    }
    signatures = {
        name: tf.function(function).get_concrete_function(**specs) for name, (function, specs) in functions.items()
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures)


if __name__ == "__main__":
    if sys.argv[2] == "signatures":
        save_signatures(Path(sys.argv[1]))
    else:
        save(Path(sys.argv[1]), float(sys.argv[2]))
