"""`ct doctor --target vertex`: the table that an endpoint's requests are logged to, by BigQuery's official client."""

import pytest

import loopback_http
from kfp_ct.deploy.doctor import serving_checks
from kfp_ct.models.vertex_log_settings import COLUMNS

TABLE = "bq://acme.ct_predictions.requests"
DATASETS = "/bigquery/v2/projects/acme/datasets"
DATASET = {"datasetReference": {"projectId": "acme", "datasetId": "ct_predictions"}}


def described(columns):
    reference = {"projectId": "acme", "datasetId": "ct_predictions", "tableId": "requests"}
    return {"tableReference": reference, "schema": {"fields": [{"name": name, "type": "STRING"} for name in columns]}}


@pytest.fixture
def bigquery(monkeypatch):
    """The answers of BigQuery's REST API by path; a number is a refusal, anything else is not found."""
    answers = {}

    def answer(path):
        found = answers.get(path.partition("?")[0], 404)
        return (found, f"refused: {found}") if isinstance(found, int) else (200, found)

    with loopback_http.serving(loopback_http.of_json(answer)) as port:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        yield answers


def looked(uri=TABLE):
    """What is said of the log that a monitoring pipeline reads."""
    parameters = {"request_log": uri, "log": {"endpoint": "ct-flights"}}
    return [(each.state, each.text, each.fix) for each in serving_checks.findings(parameters)]


def test_the_table_is_there_or_is_made(bigquery):
    bigquery[f"{DATASETS}/ct_predictions"] = DATASET
    assert looked() == [
        ("ok", "acme.ct_predictions.requests is not there yet; Vertex AI makes it with the first request", "")
    ]
    bigquery[f"{DATASETS}/ct_predictions/tables/requests"] = described(COLUMNS)
    assert looked() == [("ok", "acme.ct_predictions.requests is there", "")]


def test_what_keeps_vertex_from_logging_there_is_a_problem(bigquery):
    ((state, text, fix),) = looked()
    assert (state, "does not find something" in text, bool(fix)) == ("problem", True, True)
    bigquery[f"{DATASETS}/ct_predictions"] = DATASET
    bigquery[f"{DATASETS}/ct_predictions/tables/requests"] = described(["score"])
    ((state, text, _),) = looked()
    assert (state, "has no column endpoint, deployed_model_id" in text) == ("problem", True)
    bigquery[f"{DATASETS}/ct_predictions"] = 403
    ((state, text, fix),) = looked()
    assert (state, "may not be read from BigQuery" in text) == ("problem", True)


def test_no_table_is_asked_for_where_none_is_named(bigquery):
    assert looked("gs://acme/requests") == []
    ((state, text, _),) = looked("bq://acme")
    assert (state, text.startswith("Vertex AI makes a data set of its own")) == ("ok", True)
