"""Secrets are taken out of text that leaves, ordinary text stays as it is, and settings refer to variables."""

import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_ct.base import redaction, secrets
from kfp_ct.base.errors import ConfigurationError, reported

PASSWORD = "S3cretPw"
IN_THE_CLEAR = [
    f"http://user:{PASSWORD}@127.0.0.1:9",
    f"http://:{PASSWORD}@127.0.0.1:9",
    f"postgresql+psycopg2://user:{PASSWORD}@db:5432/mlflow",
    f"mysql://user:p@{PASSWORD}@db/mlflow",
    f"s3://AKIAIOSFODNN7EXAMPLE:{PASSWORD}@bucket/folder",
    f"http://user:x/{PASSWORD}@host",
    f"https://host/path?password={PASSWORD}&x=1",
    f"Driver=ODBC;UID=user;PWD={PASSWORD};",
    f"https://bucket.example/object?X-Amz-Signature={PASSWORD}",
    f"https://account.blob.core.windows.net/c/x?sv=2022-11-02&sig={PASSWORD}%2Babcd%3D&se=2026",
    f"https://api.example/v1?key={PASSWORD}abcd",
    f"https://{PASSWORD}0123456789abcdef@index.example/simple",
    f"https://{PASSWORD}0123456789abcdef:x-oauth-basic@github.com/owner/repository",
    f"https://hooks.slack.com/services/T00000000/B00000000/{PASSWORD}XXXX",
    f"https://discord.com/api/webhooks/123456789/{PASSWORD}",
    f"Authorization: token {PASSWORD}0123",
    f"Cookie: session={PASSWORD}",
    f"set-cookie: session={PASSWORD}; HttpOnly",
    f"SharedAccessSignature={PASSWORD}",
    f'"private_key": "-----BEGIN PRIVATE KEY-----\\n{PASSWORD}\\n-----END PRIVATE KEY-----\\n", "client_id": "1"',
    f"private_key: -----BEGIN RSA PRIVATE KEY-----\n{PASSWORD}\n",
    f"tool --db-password {PASSWORD} run",
    f"tool --token {PASSWORD} run",
    f"curl -u user:{PASSWORD} https://host",
    f"mysql -h db -u root -p{PASSWORD} flights",
    f"mysqldump -p{PASSWORD.lower()} flights",
    f"sshpass -p {PASSWORD} ssh host",
    f"tool -p{PASSWORD} run",
    f"credentials={PASSWORD}",
    f"aws_credentials='{PASSWORD}'",
]
TOKENS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "glpat-0123456789abcdefghij",
    "sk-ant-0123456789abcdefghij",
    "hf_0123456789abcdefghijABCDEFGHIJ",
    "npm_0123456789abcdefghijABCDEFGHIJ012345",
    "sk_live_0123456789abcdefghij",
    "SG.0123456789abcdefghij.0123456789abcdefghijABCDEFGHIJ",
    "dapi0123456789abcdef0123456789abcdef",
    "hvs.0123456789abcdefghijABCD",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLW9mLWl0",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----",
]
HARMLESS = [
    "http://localhost:8080/a@b",
    "https://mlflow.example:5000",
    "http://user:${MLFLOW_PASSWORD}@mlflow.example",
    "http://user:***@mlflow.example",
    "sqlite:////srv/registry/mlflow.db",
    "gs://bucket/folder/*.csv",
    "git@github.com:owner/repository",
    "page_token=eyJzb3J0X2J5",
    "max_tokens=50000",
    "tokenizer=bert-base",
    "password: expected a text",
    "ask-for-a-long-name-of-a-thing",
    "training_key 0123456789abcdef0123456789abcdef01234567",
    "http://[::1]:80/a@b",
    "--oov_token=<unknown>",
    "pad_token=endoftext",
    "signature: serving_default",
    "https://user2024@host/path",
    "postgresql://kfp-ct-training-2024@db/mlflow",
    "http://localhost:8080/runs?key=flights",
    "docker run --user 1000:1000 -u 0:0 image",
    "use --password or --token for that",
    "--password-file /run/secrets/database",
    "second-pass: 2",
    "mkdir -p /srv/Models2026",
    "docker run -p 127.0.0.1:8080:8080 image",
    "ssh -p2222 host",
    "tar -pxzf archive",
    "tool -parallelism 4 -profile=Dev2026x",
    "mysql -p flights",
    "import mysql; run -p4",
    "GOOGLE_APPLICATION_CREDENTIALS=/srv/key1.json",
    "credentials=service-account-2.json",
    "the credentials: object-store-2 is missing",
    "credentials=default",
    "credentials=${MLFLOW_CREDENTIALS_1}",
]


@pytest.fixture
def variables(monkeypatch):
    redaction._values.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    redaction._values.cache_clear()


@pytest.mark.parametrize("text", IN_THE_CLEAR)
def test_a_password_is_taken_out_wherever_it_stands(text):
    for each in (text, f"failed to reach {text}: refused", f'{{"uri": "{text}"}}', f"('{text}',)"):
        assert PASSWORD not in redaction.redact(each)
    assert secrets.in_the_clear({"a": [text]})[0].path == ("a", 0)


@pytest.mark.parametrize("text", TOKENS)
def test_a_token_of_a_known_form_is_taken_out(text):
    assert redaction.redact(f"x {text} y") == "x *** y"
    assert secrets.in_the_clear(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_stays_as_it_is(text):
    assert redaction.redact(text) == text
    assert secrets.in_the_clear({"setting": text}) == []


@given(st.text(max_size=200))
def test_redacting_twice_is_redacting_once(text):
    once = redaction.redact(text)
    assert redaction.redact(once) == once


@pytest.mark.parametrize("name", ["password", "db_password", "mlflowPassword", "api_key", "auth.token", "secret-key"])
def test_a_value_is_a_secret_by_its_name(name):
    assert [problem.path for problem in secrets.in_the_clear({"a": {name: "abcdefgh1"}})] == [("a", name)]
    assert redaction.redact_tree({name: "abcdefgh1"}) == {name: "***"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", "word"), ("secret_name", "mlflow-credentials"), ("tokenizer", "bert-base"), ("max_tokens", 512),
        ("access_key", "/etc/credentials.json"), ("oov_token", "<|endoftext|>"),
        ("signature", "serving_default"), ("password", "${MLFLOW_PASSWORD}"), ("keys", "abcdefgh1"),
    ],
)  # fmt: skip
def test_a_name_alone_makes_no_secret(name, value):
    assert secrets.in_the_clear({name: value}) == []
    assert redaction.redact_tree({name: value}) == {name: value}


def test_a_problem_names_the_place_and_the_fix_but_not_the_secret():
    (problem,) = secrets.in_the_clear({"registry_uri": IN_THE_CLEAR[0]})
    assert str(problem).startswith("registry_uri holds a secret in the clear")
    assert "${NAME}" in str(problem)
    assert PASSWORD not in str(problem)


def test_secrets_of_the_environment_are_taken_out(variables):
    variables.setenv("CT_TOKEN", "0ther-s3cret")
    variables.setenv("CACHE_KEY", "flights-training")
    variables.setenv("HOUSE_KEY", "k3y-0f-the-house")
    variables.setenv("DATABASE", "postgresql://user:p%40ssw0rd@db/x")
    redaction._values.cache_clear()
    assert redaction.redact("sent 0ther-s3cret") == "sent ${CT_TOKEN}"
    assert redaction.redact("tried p@ssw0rd and p%40ssw0rd") == "tried *** and ***"
    assert redaction.redact("flights-training has k3y-0f-the-house") == "flights-training has ${HOUSE_KEY}"
    assert secrets.in_the_clear({"note": "0ther-s3cret"})
    assert not secrets.in_the_clear({"note": "flights-training"})


def test_a_reference_is_resolved_where_it_is_used_and_kept_out_from_then_on(variables):
    variables.setenv("PLACE", f"http://user:{PASSWORD}@host")
    value = {"uri": "${PLACE}/x", "list": ["${PLACE}"], "number": 3, "lower": "${place}"}
    assert secrets.references(value) == {"PLACE"}
    assert secrets.resolve(value) == {
        "uri": f"http://user:{PASSWORD}@host/x", "list": [f"http://user:{PASSWORD}@host"], "number": 3,
        "lower": "${place}",
    }  # fmt: skip
    assert redaction.redact(f"no answer from http://user:{PASSWORD}@host") == "no answer from ${PLACE}"
    assert PASSWORD not in redaction.redact(f"signed in with {PASSWORD}")


def test_a_path_and_a_short_word_that_are_referred_to_stay_in_records(variables):
    variables.setenv("ROOT", "/srv/training")
    variables.setenv("BUCKET", "data")
    assert secrets.resolve("${ROOT}/${BUCKET}") == "/srv/training/data"
    assert redaction.redact("/srv/training/data/1") == "/srv/training/data/1"


def test_a_reference_to_nothing_is_refused(variables):
    variables.delenv("PLACE", raising=False)
    with pytest.raises(ConfigurationError, match="variable PLACE, which is not set"):
        secrets.resolve("${PLACE}")
    assert [problem.path for problem in secrets.unset({"a": {"b": "${PLACE}"}})] == [("a", "b")]


def test_a_step_prints_no_secret(variables, capsys):
    @reported()
    def step():
        print(IN_THE_CLEAR[0])
        raise ConfigurationError(f"{IN_THE_CLEAR[0]} does not answer")

    before = sys.stdout, sys.stderr
    with pytest.raises(SystemExit):
        step()
    assert (sys.stdout, sys.stderr) == before
    printed = capsys.readouterr()
    assert printed.out == "http://user:***@127.0.0.1:9\n"
    assert printed.err == "error: http://user:***@127.0.0.1:9 does not answer\n"


def test_a_guarded_stream_is_the_stream_it_guards():
    file = io.StringIO()
    stream = redaction.redacted(file)
    assert redaction.redacted(stream) is stream
    assert stream.write(IN_THE_CLEAR[0]) == len(IN_THE_CLEAR[0])
    stream.writelines(["a\n", f"{IN_THE_CLEAR[1]}\n"])
    assert (stream.isatty(), stream.closed) == (False, False)
    assert PASSWORD not in file.getvalue()
    assert file.getvalue().endswith("a\nhttp://:***@127.0.0.1:9\n")


def test_a_text_that_was_looked_at_before_loses_a_value_that_is_known_since():
    text = "the place is swordfish-place-7, password=hunter22"
    assert redaction.redact(text) == redaction.redact(text) == "the place is swordfish-place-7, password=***"
    redaction.remember("PLACE", "swordfish-place-7")
    assert "swordfish" not in redaction.redact(text)
    redaction._values.cache_clear()


@pytest.mark.parametrize(
    "name", ["PASSWORD", "pa\u017f\u017fword", "api-\u212aey", "X-Amz-Signature", "SharedAccessSignature"]
)
def test_a_name_is_known_however_its_letters_are_written(name):
    assert redaction.redact(f"sent {name}=hunter22-hunter") == f"sent {name}=***"


def test_long_texts_take_no_time():
    for text in ("a" * 2_000_000, "x:" * 500_000, "://a:" * 50_000, "token=${" * 50_000, "eyJ-" * 100_000):
        before = os.times().user
        assert redaction.redact(text) == text
        assert os.times().user - before < 5
