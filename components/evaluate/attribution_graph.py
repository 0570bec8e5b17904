"""A signature, cut where its trained variables first meet the data: only what follows has a gradient.

Before the cut lie vocabularies, buckets and whatever else makes features of raw columns; at the cut lie the float
features as the model takes them, and the embeddings of the others.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from kfp_ct.base import exception_texts
from kfp_ct.base.errors import ConfigurationError

# What messages say of a model that cannot be cut.
NO_GRADIENT = (
    "expected: a TensorFlow model whose output changes smoothly with what its trained variables are given\n"
    "fix: measure importance by permutation, which any model takes: ct model-card PROJECT --importance"
)


class CutModel:
    """A signature in two parts: from its inputs to the cut, and from there to one of its outputs.

    Attributes:
        depth: Number of tensors at the cut.
    """

    def __init__(self, function: Any, output: str, title: str) -> None:
        """Cuts a signature.

        Args:
            function: The signature, a concrete function.
            output: Name of the output.
            title: What messages call the model.

        Raises:
            ConfigurationError: It has no trained variables between inputs and output.
        """
        self._title = title
        try:
            frozen = convert_variables_to_constants_v2(function, aggressive_inlining=True)
        except (ValueError, KeyError, NotImplementedError, tf.errors.OpError) as error:
            raise self._refusal(f"its graph cannot be read: {exception_texts.first_line(error)}") from error
        names = sorted(function.structured_outputs)
        target = frozen.outputs[names.index(output)]
        variables = {id(each.handle) for each in function.variables}
        trained = [inner.op.name for outer, inner in function.graph.captures if id(outer) in variables]
        self._captured = {inner.op.name: outer for outer, inner in function.graph.captures}
        self._inputs = list(frozen.inputs)
        given = [each.op for each in self._inputs if each.op.name not in self._captured]
        self._cut = _cut(target, _reached(given), _reached(_operations(frozen.graph, trained)))
        if not self._cut or any(each is target for each in self._cut):
            raise self._refusal("no trained variable lies between its inputs and its output")
        self.depth = len(self._cut)
        self._before = frozen.prune(self._inputs, self._cut)
        self._after = frozen.prune([*self._cut, *self._inputs], target)

    def at_cut(self, feed: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        """Returns what lies at the cut for rows."""
        return list(self._before(*self._given(feed)))

    def output(self, cut: Sequence[tf.Tensor], feed: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the output for what lies at the cut, `[n, values]`; `feed` tells the number of rows and no more."""
        found = self._after(*cut, *self._given(feed))
        return tf.reshape(found, [tf.shape(cut[0])[0], -1])

    def gradients(self, cut: Sequence[tf.Tensor], feed: dict[str, tf.Tensor], chosen: tf.Tensor) -> list[tf.Tensor]:
        """Returns the gradient of each row's output, weighted by `chosen` `[n, values]`, by what lies at the cut.

        Raises:
            ConfigurationError: An operation on the way has no gradient.
        """
        try:
            with tf.GradientTape() as tape:
                tape.watch(cut)
                target = tf.reduce_sum(self.output(cut, feed) * chosen)
            found = tape.gradient(target, cut, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        except (LookupError, NotImplementedError, tf.errors.OpError) as error:
            raise self._refusal(f"an operation has no gradient: {exception_texts.first_line(error)}") from error
        return [tf.convert_to_tensor(each) for each in found]

    def _given(self, feed: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        return [self._captured.get(each.op.name, feed.get(each.op.name)) for each in self._inputs]

    def _refusal(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"{self._title} has no integrated gradients: {why}\n{NO_GRADIENT}")


def _operations(graph: Any, names: Iterable[str]) -> list[Any]:
    known = {each.name: each for each in graph.get_operations()}
    return [known[name] for name in names if name in known]


def _reached(operations: Iterable[Any]) -> set[Any]:
    """Returns the operations that depend on some."""
    found, waiting = set(), list(operations)
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found.add(operation)
            waiting += [user for output in operation.outputs for user in output.consumers()]
    return found


def _cut(target: Any, of_data: set[Any], of_variables: set[Any]) -> list[Any]:
    """Returns the float tensors at which the way back from an output leaves the trained variables' reach.

    Whole numbers have no gradient: what a variable makes of them, as an embedding does, is cut off after it.
    """
    found: dict[int, Any] = {}
    seen, waiting = set(), [target]
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen or tensor.op not in of_data:
            continue
        seen.add(id(tensor))
        smooth = [each for each in tensor.op.inputs if each.op in of_data and each.dtype.is_floating]
        if tensor.op in of_variables and smooth:
            waiting += smooth
        else:
            found[id(tensor)] = tensor
    return sorted(found.values(), key=lambda each: str(each.name))
