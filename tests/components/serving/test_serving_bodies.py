"""The fast way from JSON to arrays and back gives what the exact way gives, or leaves the request to it."""

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_ct.serving import bodies, columns, row_parts, tensors
from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.values import InputSpec, Lists


def spec(name, dtype, array_type, shape=(None,)):
    return InputSpec(name, dtype, np.dtype(array_type), shape)


SPECS = {
    "carrier": spec("carrier", "string", object),
    "hour": spec("hour", "int64", np.int64),
    "small": spec("small", "int8", np.int8),
    "distance": spec("distance", "float", np.float32, (None, 1)),
    "exact": spec("exact", "double", np.float64),
    "late": spec("late", "bool", bool),
    "scores": spec("scores", "float", np.float32, (None, None)),
    "codes": spec("codes", "string", object, (None, None)),
}
WHOLE = {
    "carrier": "AA",
    "hour": 6,
    "small": -3,
    "distance": 1.5,
    "exact": 0.1,
    "late": True,
    "scores": [1, 0.5],
    "codes": [],
}
VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-(2**66), 2**66)
    | st.integers(-130, 130)
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.floats(width=32) | st.integers(0, 5), max_size=2)
    | st.lists(st.none() | st.text(max_size=2), max_size=2)
)
ROWS = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys([*SPECS, "other"], VALUE)).map(lambda some: {**WHOLE, **some}),
    min_size=1,
    max_size=4,
)


def exactly(body):
    try:
        return bodies._decode_exactly(body, {"serving_default": SPECS}).inputs
    except InvalidRequestError as error:
        return str(error)


def decoded(body):
    try:
        return bodies.decode(body, {"serving_default": SPECS}).inputs
    except InvalidRequestError as error:
        return str(error)


def assert_same(one, other):
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert isinstance(array, Lists) == isinstance(other[name], Lists)
        if isinstance(array, Lists):
            for part in ("lengths", "present", "values"):
                np.testing.assert_array_equal(getattr(array, part), getattr(other[name], part))
            assert array.values.dtype == other[name].values.dtype
            continue
        assert array.dtype == other[name].dtype
        assert array.shape == other[name].shape
        np.testing.assert_array_equal(array, other[name])


@settings(max_examples=400, deadline=None)
@given(ROWS)
def test_rows_are_decoded_as_exactly_as_one_by_one(rows):
    body = json.dumps({"instances": rows}).encode()

    assert_same(decoded(body), exactly(body))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from([*SPECS]), st.lists(VALUE, min_size=1, max_size=3)))
def test_columns_are_decoded_as_exactly_as_one_by_one(inputs):
    body = json.dumps({"inputs": {**{name: [value] for name, value in WHOLE.items()}, **inputs}}).encode()

    assert_same(decoded(body), exactly(body))


def test_usual_rows_take_the_fast_way():
    rows = [WHOLE, {**WHOLE, "carrier": None, "hour": None, "distance": None}, {"small": 1, "late": False}]

    arrays = columns.rows_to_arrays(rows, SPECS)

    assert arrays["carrier"].tolist() == [b"AA", b"", b""]
    assert arrays["hour"].tolist() == [6, -(2**63), -(2**63)]
    assert math.isnan(arrays["distance"][1, 0])


def test_true_is_one_of_a_raw_feature_the_fast_way_too():
    rows = [{**WHOLE, "hour": True, "distance": True}, WHOLE]

    assert columns.rows_to_arrays(rows, SPECS)["hour"].tolist() == [1, 6]
    assert_same(columns.rows_to_arrays(rows, SPECS), exactly(json.dumps({"instances": rows}).encode()))


@pytest.mark.parametrize(
    "row",
    [
        {**WHOLE, "exact": float(2**63)},
        {**WHOLE, "distance": 2**24 + 1},
        {**WHOLE, "small": 128},
        {**WHOLE, "hour": 2**63},
        {**WHOLE, "late": None},
        {**WHOLE, "other": 1},
        {**WHOLE, "carrier": 5},
        {**WHOLE, "small": True},
    ],
    ids=str,
)
def test_unusual_rows_are_left_to_the_exact_way(row):
    assert columns.rows_to_arrays([row], SPECS) is None


@pytest.mark.parametrize(
    "body", ['{"signature_name": 0, "instances": [{}]}', '{"signature_name": null, "inputs": {}}', "\ufeff{}"], ids=str
)
def test_what_is_wrong_with_a_body_is_said_by_the_exact_way(body):
    message = decoded(body.encode())

    assert isinstance(message, str)
    assert message == exactly(body.encode())


FLOATS = st.lists(st.floats(width=32), min_size=1, max_size=5).map(lambda values: np.array(values, np.float32))
INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5).map(lambda v: np.array(v, np.int64))


@settings(max_examples=150, deadline=None)
@given(FLOATS | INTEGERS, st.booleans(), st.booleans())
def test_answers_are_encoded_as_exactly_as_one_by_one(array, by_row, several):
    outputs = {"p": array, "q": array[:, None]} if several else {"p": array}
    exact = tensors.encode_rows(outputs) if by_row else tensors.encode_columns(outputs)

    encoded = json.loads(bodies.encode(outputs, by_row))

    np.testing.assert_equal(encoded, {"predictions" if by_row else "outputs": exact})


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(row_parts, "LARGE_BYTES", 0)
    monkeypatch.setattr(row_parts, "PART_BYTES", 40)


SIGNATURES = {"serving_default": SPECS, "other": {"codes": SPECS["codes"]}}
SEPARATORS = [(",", ":"), (", ", ": "), (" \n,\t", " : ")]


@pytest.mark.parametrize("separators", SEPARATORS, ids=["tight", "usual", "wide"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_a_body_in_parts_is_decoded_as_exactly_as_one_by_one(rows, separators, small_parts):
    body = json.dumps({"instances": rows * 3}, separators=separators).encode()

    assert_same(decoded(body), exactly(body))


def test_large_bodies_are_decoded_in_parts(small_parts):
    body = json.dumps({"signature_name": "other", "instances": [{"codes": ["a", "b"]}, {"codes": []}] * 50}).encode()

    signature, inputs = row_parts.decode(body, SIGNATURES, "serving_default")

    assert signature == "other"
    assert (inputs["codes"].values.tolist(), inputs["codes"].lengths.tolist()) == ([b"a", b"b"] * 50, [2, 0] * 50)


@pytest.mark.parametrize(
    "rows",
    [
        [{"codes": ["},{" * 40]}],
        [{"codes": ['"},{"codes":["a"]}']}] * 9,
        [{"codes": [{"b64": "AA=="}, {"b64": "AA=="}]}] * 9,
    ],
    ids=["in a text", "in a text that looks like a row", "within a value"],
)
def test_a_cut_that_is_not_between_rows_is_none(rows, small_parts):
    body = json.dumps({"signature_name": "other", "instances": rows}, separators=(",", ":")).encode()

    one = bodies._decode_exactly(body, SIGNATURES).inputs["codes"]

    parts = bodies.decode(body, SIGNATURES).inputs["codes"]
    assert (parts.values.tolist(), parts.lengths.tolist()) == (one.values.tolist(), one.lengths.tolist())


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [{"codes": ["a"]},{"codes": ["b"]}], "x": [1]}',
        b'{"instances": [{"codes": ["a"]},{"codes": ["b"]}], "instances": [{}]}',
        b'{"instances": [{"codes": ["a"]},, {"codes": ["b"]}]}',
        b'{"instances": [{"codes": ["a"]},{"codes": ["b"]},]}',
        b'{"instances": [{"codes": ["a"]},{"codes": ["b"]}]',
        b'{"signature_name": "none", "instances": [{"codes": ["a"]}]}',
    ],
    ids=["more", "twice", "empty", "comma", "open", "signature"],
)
def test_what_is_no_list_of_rows_alone_is_not_decoded_in_parts(body, small_parts):
    assert row_parts.decode(body, {"serving_default": {"codes": SPECS["codes"]}}, "serving_default") is None


def test_rows_in_several_orders_are_decoded_by_name():
    rows = [WHOLE, dict(reversed(WHOLE.items()))]

    assert_same(columns.rows_to_arrays(rows, SPECS), exactly(json.dumps({"instances": rows}).encode()))
