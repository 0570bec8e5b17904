"""The flights' features with the flight's key beside them, so that rows can be compared one by one."""

import tensorflow as tf

from pipelines.flights import features


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the flights' features and `flight_id`."""
    return {**features.preprocessing_fn(inputs), "flight_id": tf.reshape(inputs["flight_id"], [-1])}
