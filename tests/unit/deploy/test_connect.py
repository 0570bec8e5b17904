"""Addresses of services are whole, wherever they are from."""

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.deploy import connect
from kfp_ct.project import settings


def chosen(**section):
    return settings.Settings("flights", "kind", "pipelines.training", {}, {"kfp": section} if section else {})


@pytest.mark.parametrize("host", ["127.0.0.1:8888", "kfp.example.com", "ftp://kfp.example.com"])
@pytest.mark.parametrize("source", ["option", "settings", "variable"])
def test_an_address_without_a_scheme_is_refused(source, host, monkeypatch, recwarn):
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    if source == "variable":
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", host)
    given = chosen(host=host) if source == "settings" else chosen()
    with pytest.raises(UsageError, match=rf"{host} is no address of a service\nexpected: http:// or https:// in front"):
        connect.open_target(given, "kfp", host if source == "option" else "", "none")
    assert not recwarn.list
