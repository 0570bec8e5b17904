"""What AutoGraph translates while a user's function runs, and what it leaves alone."""

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow.python.autograph.impl import conversion

from kfp_ct.data import autograph


def signed(value):
    if value > 0:  # no Python truth, unless it is translated
        return value
    return -value


def test_transform_is_left_alone_and_the_users_code_is_translated():
    assert not conversion.is_allowlisted(tft.TransformFeaturesLayer.call)
    with autograph.sparing_libraries():
        assert conversion.is_allowlisted(tft.TransformFeaturesLayer.call)
        assert not conversion.is_allowlisted(signed)
        assert tf.function(signed)(tf.constant(-2.0)) == 2.0
    assert not conversion.is_allowlisted(tft.TransformFeaturesLayer.call)
