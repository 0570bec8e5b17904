"""The flights' features: one TensorFlow graph for training and serving, so the two cannot differ."""

import tensorflow as tf
import tensorflow_transform as tft

LABEL = "late"
CATEGORIES = ("carrier", "origin", "dest")
# Local times of day, written HHMM.
TIMES = ("sched_dep_time", "sched_arr_time")
AMOUNTS = (
    "distance", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
)  # fmt: skip
NUMBERS = TIMES + AMOUNTS
# What a caller tells of a flight.
SERVED = (*CATEGORIES, "day_of_week", *NUMBERS)
BUCKETS = 20
# Standard deviations; a sensor's outlier must not drive the model far outside of what it has seen.
LIMIT = 4.0


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Turns the columns of examples.sql into features.

    The month is left out on purpose: the month to be predicted was never seen in training. `day` is no
    feature of the model either, which holds out some days of training to know when to stop.

    Args:
        inputs: Columns by name, `[n, 1]`; optional ones sparse.

    Returns:
        `numbers` and `buckets` `[n, len(NUMBERS)]`, the categories, `day_of_week`, `day` and `late` `[n]`.
    """
    columns = [_minute_of_day(inputs[name]) for name in TIMES] + [_dense(inputs[name]) for name in AMOUNTS]
    numbers = tf.stack(columns, axis=1)
    missing = tf.math.is_nan(numbers)
    # One analysis of a matrix instead of one a column; TFT ignores NaN.
    scores = tft.scale_to_z_score(numbers, elementwise=True)
    buckets = tft.bucketize(numbers, BUCKETS, elementwise=True)
    features = {
        "numbers": tf.where(missing, 0.0, tf.clip_by_value(scores, -LIMIT, LIMIT)),
        "buckets": tf.where(missing, tf.cast(BUCKETS, tf.int64), buckets),
        "day_of_week": _day_of_week(inputs["day_of_week"]),
        "day": _column(inputs["day"]),
        LABEL: _column(inputs[LABEL]),
    }
    for name in CATEGORIES:
        features[name] = tft.compute_and_apply_vocabulary(_column(inputs[name]), num_oov_buckets=1, vocab_filename=name)
    return features


def _column(values: tf.Tensor) -> tf.Tensor:
    """`[n, 1]` → `[n]`."""
    return tf.reshape(values, [-1])


def _dense(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """A column as float32 `[n]`; missing is NaN."""
    if isinstance(values, tf.SparseTensor):
        shape = [values.dense_shape[0], 1]
        values = tf.sparse.to_dense(tf.SparseTensor(values.indices, values.values, shape), default_value=float("nan"))
    return _column(tf.cast(values, tf.float32))


def _day_of_week(values: tf.Tensor) -> tf.Tensor:
    """ISO day, 1 to 7; whatever else a caller sends, or leaves out, is 0."""
    day = _column(values)
    return tf.where((day >= 1) & (day <= 7), day, tf.zeros_like(day))


def _minute_of_day(clock: tf.Tensor) -> tf.Tensor:
    """HHMM → minutes since midnight, float32 `[n]`."""
    clock = _column(clock)
    return tf.cast(clock // 100 * 60 + clock % 100, tf.float32)
