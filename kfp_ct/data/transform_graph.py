"""The transform graph as a plain TensorFlow function, to be applied while reading and to be saved with a model."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.saved import saved_transform_io_v2


class TransformGraph(tf.Module):
    """Applies a transform graph, as `TFTransformOutput.transform_features_layer` does, without a Keras layer.

    A Keras layer is converted by autograph wherever it is called and traced again wherever it is saved: half of the
    CPU time it takes to train a small model.
    """

    def __init__(self, output: tft.TFTransformOutput) -> None:
        super().__init__()
        self._loader = saved_transform_io_v2.SavedModelLoader(output.transform_savedmodel_dir)
        # The loader is no trackable; what it holds (vocabularies) must be saved with a model.
        self._tracked = self._loader.__dict__

    @tf.autograph.experimental.do_not_convert
    def __call__(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the transformed features that can be computed from the given ones.

        Args:
            features: Tensors as the raw feature spec has them (`batches.to_features` makes them from columns).
        """
        return dict(self._loader.apply_transform_model(features))
