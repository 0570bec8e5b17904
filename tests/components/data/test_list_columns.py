"""Lists as values: what a model is given of them is what TensorFlow parses of the same rows' tf.Examples."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import schema_pb2

from depth import tries
from kfp_ct.base.errors import DataError
from kfp_ct.data import batches

SCHEMA = """
feature { name: "vector" type: FLOAT presence { min_fraction: 1.0 } shape { dim { size: 2 } dim { size: 2 } } }
feature { name: "tokens" type: INT presence { min_fraction: 1.0 } value_count { min: 0 max: 9 } }
feature { name: "tags" type: BYTES value_count { min: 0 max: 9 } }
"""
SPECS = batches.feature_specs(text_format.Parse(SCHEMA, schema_pb2.Schema()))
TAGS = st.lists(st.sampled_from([b"red", b"", b"\xff\x00"]), max_size=4)


def batch(tags, tokens=None, vector=None) -> pa.RecordBatch:
    rows = len(tags)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(vector or [[0.5, 1.0, 2.0, float("nan")]] * rows, pa.list_(pa.float32())),
            pa.array(tokens or [[1, 2]] * rows, pa.list_(pa.int64())),
            pa.array(tags, pa.list_(pa.binary())),
        ],
        names=["vector", "tokens", "tags"],
    )


@given(tags=st.lists(st.none() | TAGS, min_size=1, max_size=5))
@settings(max_examples=tries(6, 15), deadline=None)
def test_lists_are_read_as_tensorflow_parses_them(tags):
    rows = batch(tags)
    read = batches.to_features(batches.to_tensors(batches.to_columns(rows, SPECS)), SPECS)
    parsed = tf.io.parse_example(batches.to_examples(rows), SPECS)
    np.testing.assert_array_equal(read["vector"], parsed["vector"])
    for name in ("tokens", "tags"):
        for part in ("indices", "values", "dense_shape"):
            np.testing.assert_array_equal(getattr(read[name], part), getattr(parsed[name], part))


def test_a_signature_takes_lists_filled_up_to_the_longest():
    rows = batch([[b"a"], None, [b"b", b"", b"c"]])
    inputs = {name: batches.input_spec(spec, name, is_list=True) for name, spec in SPECS.items()}
    fed = batches.to_signature_inputs(rows, inputs)
    assert fed["tags"].numpy().tolist() == [[b"a", b"", b""], [b"", b"", b""], [b"b", b"", b"c"]]
    assert fed["vector"].shape == (3, 2, 2)
    read = batches.to_features(fed, SPECS)
    parsed = tf.io.parse_example(batches.to_examples(rows), SPECS)
    for name in ("tokens", "tags"):
        np.testing.assert_array_equal(read[name].values, parsed[name].values)
        np.testing.assert_array_equal(read[name].indices, parsed[name].indices)


def test_a_schema_that_says_ragged_is_read_ragged():
    schema = text_format.Parse(
        'feature { name: "tokens" type: INT value_count { min: 0 max: 9 } }'
        'tensor_representation_group { key: "" value { tensor_representation { key: "tokens" value {'
        ' ragged_tensor { feature_path { step: "tokens" } } } } } }',
        schema_pb2.Schema(),
    )
    specs = batches.feature_specs(schema)
    rows = pa.RecordBatch.from_arrays([pa.array([[1, 2], [], [3]], pa.list_(pa.int64()))], names=["tokens"])
    ragged = batches.to_features(batches.to_columns(rows, specs), specs)["tokens"]
    assert ragged.to_list() == [[1, 2], [], [3]]
    assert batches.type_spec(specs["tokens"]).is_compatible_with(ragged)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (batch([[b"a"]], vector=[[1.0, 2.0]]), r"column vector has a row of 2 values; .* the shape \[2, 2\]"),
        (batch([[b"a"]], vector=[None]), "column vector has a row of 0 values"),
        (batch([[b"a"]], tokens=[[1, None]]), "column tokens has lists with missing values"),
    ],
    ids=["length", "missing", "null"],
)
def test_lists_that_do_not_fit_are_refused_by_name(rows, words):
    with pytest.raises(DataError, match=words):
        batches.to_columns(rows, SPECS)


def test_a_list_that_ends_in_what_fills_lists_up_is_never_cut_silently():
    inputs = {"tags": batches.input_spec(SPECS["tags"], "tags", is_list=True)}
    with pytest.raises(DataError, match="column tags has a list that ends in b''"):
        batches.to_signature_inputs(batch([[b"a", b""]]), inputs)
