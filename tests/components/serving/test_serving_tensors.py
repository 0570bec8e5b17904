"""JSON becomes arrays as TensorFlow Serving has it; missing values are filled; what does not fit is named."""

import base64
import contextlib
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_ct.serving import tensors
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.values import InputSpec


def spec(name, dtype, array_type, shape=(None,)):
    return InputSpec(name, dtype, np.dtype(array_type), shape)


FLIGHT = {
    "carrier": spec("carrier", "string", object),
    "hour": spec("hour", "int64", np.int64),
    "distance": spec("distance", "float", np.float32, (None, 1)),
}
IMAGE = {"image": spec("image", "float", np.float32, (None, 2, 3))}


def test_rows_become_one_array_an_input():
    arrays = tensors.decode_rows(
        [{"carrier": "AA", "hour": 6, "distance": 1}, {"carrier": "B6", "hour": 7, "distance": [2.5]}], FLIGHT
    )

    assert arrays["carrier"].tolist() == [b"AA", b"B6"]
    assert arrays["hour"].tolist() == [6, 7]
    assert arrays["distance"].tolist() == [[1.0], [2.5]]
    assert arrays["distance"].dtype == np.float32


@pytest.mark.parametrize("row", [{}, {"carrier": None, "hour": None, "distance": None}], ids=["absent", "null"])
def test_missing_values_are_filled(row):
    arrays = tensors.decode_rows([row, {"carrier": "AA", "hour": 1, "distance": 1.0}], FLIGHT)

    assert arrays["carrier"].tolist() == [b"", b"AA"]
    assert arrays["hour"].tolist() == [-(2**63), 1]
    assert math.isnan(arrays["distance"][0, 0])


def test_columns_may_be_left_out_and_hold_nulls():
    arrays = tensors.decode_columns({"hour": [1, None]}, FLIGHT)

    assert arrays["hour"].tolist() == [1, -(2**63)]
    assert arrays["carrier"].tolist() == [b"", b""]
    assert np.isnan(arrays["distance"]).all()
    assert arrays["distance"].shape == (2, 1)


def test_one_input_needs_no_name():
    assert tensors.decode_rows([[[1, 2, 3], [4, 5, 6]]], IMAGE)["image"].shape == (1, 2, 3)
    assert tensors.decode_columns([[[1, 2, 3], [4, 5, 6]]], IMAGE)["image"].shape == (1, 2, 3)
    assert tensors.decode_rows(["a", {"b64": "AAE="}], {"x": FLIGHT["carrier"]})["x"].tolist() == [b"a", b"\x00\x01"]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"hour": 3.5}, r"element: 1 key: hour .* 3.5 Type: Number is not of expected type: int64"),
        ({"hour": "3"}, r'element: 1 key: hour .* "3" Type: String is not of expected type: int64'),
        ({"hour": 2.0**53 + 2}, r"element: 1 key: hour .* is not of expected type: int64"),
        ({"hour": 2**63}, r"element: 1 key: hour .* is not of expected type: int64"),
        ({"hour": [1, 2]}, r"element: 1 key: hour .* Type: Array is not of expected type: int64"),
        ({"distance": "far"}, r'element: 1 key: distance .* "far" Type: String is not of expected type: float'),
        ({"distance": 1e39}, r"element: 1 key: distance .* without loss of precision"),
        (
            {"distance": 2**24 + 1},
            r"element: 1 key: distance .* without loss of precision. To have it rounded, send 16777217.0.",
        ),
        ({"distance": 10**39}, r"element: 1 key: distance .* without loss of precision.$"),
        ({"carrier": 5}, r"element: 1 key: carrier .* 5 Type: Number is not of expected type: string"),
        ({"carrier": {"b64": "?"}}, r"element: 1 key: carrier .* base64"),
        ({"carrier": {"b64": "é"}}, r"element: 1 key: carrier .* base64"),
        ({"carrier": {"b64": "\ud800"}}, r"element: 1 key: carrier .* base64"),
        ({"carrier": {"b": "?"}}, r"element: 1 key: carrier .* not formatted correctly for base64 data"),
        ({"carrier": "\ud800"}, r"element: 1 key: carrier .* not valid Unicode"),
        ({"carier": "AA"}, r"does not have named input: carier \(in element 1 .* inputs are: carrier, distance, hour"),
    ],
    ids=str,
)
def test_names_the_input_and_row_that_does_not_fit(row, complaint):
    with pytest.raises(InvalidRequestError, match=complaint):
        tensors.decode_rows([{"hour": 1}, row], FLIGHT)


def test_whole_numbers_are_taken_however_they_are_written_while_they_are_exact():
    rows = [{"hour": 3.0, "distance": 1718000000}, {"hour": math.nan, "distance": 2**24}, {"hour": -0.0}]
    arrays = tensors.decode_rows(rows, FLIGHT)

    assert arrays["hour"].tolist() == [3, -(2**63), 0]
    assert arrays["distance"].reshape(-1).tolist()[:2] == [1718000000.0, 2.0**24]


def test_true_and_false_are_one_and_zero_and_the_other_way_round():
    specs = {**FLIGHT, "flag": spec("flag", "bool", bool)}
    rows = [{"hour": True, "distance": False, "flag": 1}, {"hour": False, "distance": True, "flag": 0.0}]
    arrays = tensors.decode_rows(rows, specs)

    assert (arrays["hour"].tolist(), arrays["distance"].tolist()) == ([1, 0], [[0.0], [1.0]])
    assert arrays["flag"].tolist() == [True, False]
    with pytest.raises(InvalidRequestError, match=r"key: flag .* 2 Type: Number is not of expected type: bool"):
        tensors.decode_rows([{"flag": 2}], specs)


@given(st.integers(-(2**70), 2**70), st.sampled_from([np.float32, np.float64]))
def test_an_integer_is_taken_for_a_float_exactly_when_it_is_one(value, kind):
    specs = {"x": spec("x", "float", kind)}
    if int(kind(value)) == value:
        assert int(tensors.decode_rows([{"x": value}], specs)["x"][0]) == value
    else:
        with pytest.raises(InvalidRequestError, match="without loss of precision"):
            tensors.decode_rows([{"x": value}], specs)


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({"hour": [1, "x"]}, "input: hour row: 1"),
        ({"hours": [1]}, "does not have named input: hours"),
        ({}, "Missing named input: carrier"),
        ({"hour": [1], "distance": [1, 2]}, "no common number of rows"),
        ([1, 2], "expecting an object"),
    ],
    ids=str,
)
def test_names_the_column_that_does_not_fit(inputs, complaint):
    with pytest.raises(InvalidRequestError, match=complaint):
        tensors.decode_columns(inputs, FLIGHT)


@pytest.mark.parametrize(
    ("instances", "complaint"),
    [
        ({}, "to be an list/array"),
        ([], "No values in 'instances'"),
        ([1], "expecting list of objects"),
        ([{"hour": 1}, 5], "Expecting object but got list at item 1"),
    ],
    ids=str,
)
def test_refuses_instances_that_are_no_rows(instances, complaint):
    with pytest.raises(InvalidRequestError, match=complaint):
        tensors.decode_rows(instances, FLIGHT)


@pytest.mark.parametrize(
    "instances",
    [[[[1, 2, 3], [4, 5]]], [[[1, 2], [3, 4]]], [[1, 2, 3]], [[[1, 2, None], [4, 5, 6]]], [None]],
    ids=str,
)
def test_a_tensor_must_have_the_signatures_shape_and_no_gaps(instances):
    with pytest.raises(InvalidRequestError):
        tensors.decode_rows(instances, IMAGE)


def test_types_that_cannot_be_missing_are_demanded():
    specs = {"flag": spec("flag", "bool", bool), "hour": FLIGHT["hour"]}

    with pytest.raises(InvalidRequestError, match="Missing named input: flag"):
        tensors.decode_rows([{"hour": 1}], specs)
    assert tensors.decode_rows([{"flag": True}], specs)["flag"].tolist() == [True]


def test_outputs_are_plain_where_there_is_one_and_named_where_there_are_several():
    one, two = np.array([[0.2]], np.float32), np.array([7])

    assert tensors.encode_rows({"p": one}) == [[0.2]]
    assert tensors.encode_rows({"p": one, "n": two}) == [{"p": [0.2], "n": 7}]
    assert tensors.encode_columns({"p": one}) == [[0.2]]
    assert tensors.encode_columns({"p": one, "n": two}) == {"p": [[0.2]], "n": [7]}


def test_outputs_without_common_rows_need_the_column_format():
    outputs = {"a": np.zeros(2), "b": np.zeros(3)}

    with pytest.raises(InvalidRequestError, match="batch size"):
        tensors.encode_rows(outputs)
    assert tensors.encode_columns(outputs) == {"a": [0, 0], "b": [0, 0, 0]}


def test_bytes_are_base64_and_text_is_text():
    value = np.array([b"\xff"], object)

    assert tensors.encode_rows({"name": np.array([b"EWR"], object)}) == ["EWR"]
    assert tensors.encode_rows({"image_bytes": np.array([b"EWR"], object)}) == [{"b64": "RVdS"}]
    assert tensors.encode_rows({"name": value}) == [{"b64": base64.b64encode(b"\xff").decode()}]


ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "carrier": st.none() | st.text(st.characters(codec="utf-8")),
            "hour": st.none() | st.integers(-(2**63), 2**63 - 1),
            "distance": st.none() | st.floats(width=32) | st.integers(-(2**24) + 1, 2**24 - 1),
        },
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_every_valid_row_arrives_as_it_was_sent(rows):
    arrays = tensors.decode_rows(json.loads(json.dumps(rows)), FLIGHT)

    for index, row in enumerate(rows):
        assert arrays["carrier"][index] == (row.get("carrier") or "").encode()
        hour = row.get("hour")
        assert arrays["hour"][index] == (-(2**63) if hour is None else hour)
        distance = row.get("distance")
        expected = math.nan if distance is None else distance
        np.testing.assert_equal(arrays["distance"][index, 0], np.float32(expected))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FLIGHT, "b64", "x"]), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_is_decoded_or_refused(value):
    for decode in (tensors.decode_rows, tensors.decode_columns):
        for specs in (FLIGHT, IMAGE):
            with contextlib.suppress(InvalidRequestError):
                assert decode(value, specs).keys() == specs.keys()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=5))
def test_float32_outputs_survive_json(values):
    array = np.array(values, np.float32)

    received = json.loads(json.dumps(tensors.encode_rows({"p": array})))

    np.testing.assert_equal(np.array(received, np.float32), array)


LISTS = {
    "tags": spec("tags", "string", object, (None, None)),
    "tokens": spec("tokens", "int64", np.int64, (None, None)),
}


def test_lists_of_any_length_are_filled_up_for_the_model_and_kept_as_they_were_sent():
    found = tensors.decode_rows([{"tags": ["a", ""], "tokens": [1]}, {"tags": [], "tokens": None}, {}], LISTS)

    assert found["tags"].padded().tolist() == [[b"a", b""], [b"", b""], [b"", b""]]
    assert found["tokens"].padded().tolist() == [[1], [-(2**63)], [-(2**63)]]
    assert found["tags"].lengths.tolist() == [2, 0, 0]
    assert found["tags"].present.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"tags": "a"}, "element: 1 key: tags .* Expecting a list of values but got: .a"),
        ({"tags": ["a", None]}, "element: 1 key: tags .* none of them null"),
        ({"tokens": [1, "x"]}, "element: 1 key: tokens"),
        ({"tokens": [[1]]}, "none of them null or a list"),
    ],
)
def test_a_list_that_does_not_fit_is_named_with_its_row(row, words):
    with pytest.raises(InvalidRequestError, match=words):
        tensors.decode_rows([{"tags": ["a"], "tokens": [1, 2]}, row], LISTS)
