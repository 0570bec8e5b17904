"""Requests generated from the endpoint's own description, and texts at its edges: it refuses, it never breaks."""

import contextlib
import json

import pytest
import schemathesis
import urllib3
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error

import local_endpoint
from depth import tries
from generated_requests import Generator, ask_all
from kfp_ct.endpoint.store import packages
from kfp_ct.endpoint.store.faults import Fault
from local_endpoint import compiled, doubling


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with local_endpoint.running(home) as running:
        running.client().upload_pipeline(compiled(doubling, home / "doubling.yaml"), "known")
        yield running


HTTP = urllib3.PoolManager()


def test_no_request_breaks_the_endpoint(endpoint):
    api = schemathesis.openapi.from_url(f"{endpoint.url}/openapi.json")
    operations = [found.ok() for found in api.get_all_operations()]
    assert len(operations) > 30
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(max_examples=tries(5, 12), deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def ask(case):
            answer = case.call()
            case.validate_response(answer, checks=[not_a_server_error])
            if answer.status_code >= 400:
                assert {"error", "code", "message"} <= set(answer.json()), answer.content

        ask()


KEYS = ["predicates", "operation", "key", "string_value", "int_values", "values", "stringValue"]
ORDERS = [
    "",
    "created_at",
    "created_at desc",
    "name asc",
    "id; drop table runs",
    '{"predicates":[]}',
    "{}",
    "[]",
    "null",
]
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(ORDERS),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=8,
    ).map(json.dumps),
)


@given(filter_=TEXTS, sort_by=TEXTS, token=TEXTS, size=st.integers(-5, 500))
@settings(max_examples=tries(50, 150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_filter_order_and_token_is_understood_or_refused(endpoint, filter_, sort_by, token, size):
    query = {"filter": filter_, "sort_by": sort_by, "page_token": token, "page_size": size}
    for kind in ("pipelines", "experiments", "runs", "recurringruns"):
        answer = HTTP.request("GET", f"{endpoint.url}/apis/v2beta1/{kind}", fields=query)
        assert answer.status in (200, 400), answer.data


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=100, deadline=None)
def test_any_file_is_a_package_or_is_refused(content):
    with pytest.raises(Fault):
        packages.read(content, "any.yaml")


@given(data=st.data())
@settings(max_examples=tries(20, 60), deadline=None)
def test_a_package_with_a_piece_missing_is_refused_or_still_one(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("p") / "doubling.yaml"
    document = yaml.safe_load(open(compiled(doubling, path)).read())
    place = document
    for _ in range(data.draw(st.integers(0, 5))):
        inside = [key for key, value in place.items() if isinstance(value, dict) and value]
        if not inside:
            break
        place = place[data.draw(st.sampled_from(sorted(inside)))]
    key = data.draw(st.sampled_from(sorted(place)))
    if data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(st.none() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}))
    with contextlib.suppress(Fault):
        found = packages.read(yaml.safe_dump(document).encode(), "changed.yaml")
        assert found["root"]["dag"]["tasks"]


def test_no_generated_request_breaks_it(endpoint, tmp_path):
    spec = yaml.safe_load(open(compiled(doubling, tmp_path / "doubling.yaml")).read())
    statuses = ask_all(endpoint.url, Generator(20261128, spec), 600)
    assert statuses[200] > 50
    assert statuses[400] > 50
