"""Secrets in a package are found; names of secrets are none."""

import pytest

from kfp_ct.package import clear_secrets


def package(defaults, referred=()):
    inputs = {name: {"parameterType": "STRING", "defaultValue": value} for name, value in defaults.items()}
    named = [{"secretNameParameter": {"componentInputParameter": f"pipelinechannel--{each}"}} for each in referred]
    executors = {"exec-a": {"secretAsEnv": named}}
    return {
        "root": {"inputDefinitions": {"parameters": inputs}},
        "platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}},
    }


@pytest.mark.parametrize(
    "default",
    [
        {"secret_name": "mlpipeline-minio-artifact"},
        {"optional_secret_name": "test-secret-1"},
        {"image_pull_secret_name": "regcred"},
        {"secret_key": "MY_SECRET_KEY"},
        {"secret": "my-secret"},
        {"token_path": "/var/run/token"},
        {"max_tokens": "4096tokens"},
    ],
    ids=str,
)
def test_names_of_secrets_are_none(default):
    assert clear_secrets.problems(package(default)) == []


def test_what_a_platform_document_takes_for_a_name_is_one():
    assert clear_secrets.problems(package({"secret": "registry-7f3a9"}, referred=["secret"])) == []
    assert clear_secrets.of_values(package({}, referred=["secret"]), {"secret": "registry-7f3a9"}) == []
    assert clear_secrets.of_values(package({}), {"secret": "registry-7f3a9"})
    assert clear_secrets.problems(package({"secret": "S3cretPw!x"}, referred=["secret"]))


@pytest.mark.parametrize(
    "default",
    [
        {"secret": "S3cretPw99"},
        {"password": "password"},
        {"secret_key": "wJalrXUtnFEMIK7MDENG"},
        {"api_key": "abcdefgh"},
    ],
    ids=str,
)
def test_secrets_are_found(default):
    assert clear_secrets.problems(package(default))
