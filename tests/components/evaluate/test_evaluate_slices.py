"""Which rows a metric is measured over."""

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_model_analysis.proto import config_pb2

from kfp_ct.components.evaluate import slices

TABLE = pa.table({"origin": ["JFK", "EWR", None, "JFK"], "hour": [5, 5, 6, 6]})


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        pytest.param("slicing_specs {}", {(): [0, 1, 2, 3]}, id="all rows only"),
        pytest.param("slicing_specs {} slicing_specs { feature_keys: 'origin' }",
                     {(): [0, 1, 2, 3], (("origin", "EWR"),): [1], (("origin", "JFK"),): [0, 3]}, id="by a column"),
    ],
)  # fmt: skip
def test_every_row_is_in_its_slices(specs, expected):
    config = text_format.Parse(specs, config_pb2.EvalConfig())
    found = slices.rows_by_slice(TABLE, config)
    assert {key: rows.tolist() for key, rows in found.items()} == expected
