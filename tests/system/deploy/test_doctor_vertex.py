"""`ct doctor --target vertex`: the account that tasks run as, and quotas; asked of a listener as Google answers."""

import pytest
from google.auth.credentials import AnonymousCredentials

import vertex_listener
from kfp_ct.deploy.doctor import vertex_checks
from kfp_ct.deploy.vertex_target import VertexTarget

ACCOUNT = "runner@acme.iam.gserviceaccount.com"
ACCOUNTS, SERVICES = "/v1/projects/-/serviceAccounts/", "/v1beta1/projects/acme/services/aiplatform.googleapis.com"
CPUS, GPUS = "custom_model_training_cpus", "custom_model_training_nvidia_t4_gpus"
TASKS = {
    "train": {"limits.cpu": "8", "requests.cpu": "4", "requests.memory": "8G", "requests.NVIDIA_TESLA_T4": "2"},
    "deploy": {"limits.cpu": "0.5"},
}
# As the API's reference has them: the default of all regions first, without dimensions.
HERE, THERE = {"region": "europe-west1"}, {"region": "us-central1"}


class Google(vertex_listener.Listener):
    """IAM and Service Usage beside Vertex AI."""

    def __init__(self, account: dict | int, limits: dict[str, list[dict] | int]) -> None:
        super().__init__()
        self.account, self.limits = account, limits

    def answer(self, method, path, query, body):
        self.requests.append((method, path, query, body))
        if path == f"{ACCOUNTS}{ACCOUNT}":
            return (self.account, {}) if isinstance(self.account, int) else (200, self.account)
        assert query == {"view": "FULL"}
        name = path.removeprefix(f"{SERVICES}/consumerQuotaMetrics/aiplatform.googleapis.com/")
        found = self.limits.get(name, 404)
        return (found, {}) if isinstance(found, int) else (200, {"consumerQuotaLimits": [{"quotaBuckets": found}]})


def looked(account, limits, **section):
    with vertex_listener.listening(Google(account, limits)) as listener:
        section = {"project": "acme", "location": "europe-west1", "bucket": "gs://acme-ct", **section}
        service = VertexTarget({**section, "api_endpoint": listener.url}, AnonymousCredentials())
        return [str(each).strip() for each in vertex_checks.findings(service, TASKS)]


def test_all_is_there():
    limits = {
        CPUS: [{"effectiveLimit": "4"}, {"effectiveLimit": "42", "dimensions": HERE}],
        GPUS: [{"effectiveLimit": "-1"}],
    }
    assert looked({"email": ACCOUNT}, limits, service_account=ACCOUNT) == [
        f"ok  service account: {ACCOUNT}",
        f"ok  quota {CPUS}: 42 in europe-west1; train asks for 8",
        f"ok  quota {GPUS}: no limit in europe-west1; train asks for 2",
    ]


@pytest.mark.parametrize(
    ("account", "cpus", "said"),
    [
        (404, 403, (f"problem  service account: there is no {ACCOUNT}; fix: make it", "not looked  quota", "403")),
        ({"disabled": True}, [{"effectiveLimit": "4"}],
         (f"problem  service account: {ACCOUNT} is disabled", f"quota {CPUS}: train asks for 8, acme may use 4")),
        (403, [{"effectiveLimit": "400", "dimensions": THERE}],
         ("not looked  service account: this account may not look", "it says nothing of europe-west1")),
        (500, 500, ("service account: Google Cloud answers 500", f"quota {CPUS}: Google Cloud answers 500")),
    ],
)  # fmt: skip
def test_what_is_missing_or_cannot_be_seen_is_told(account, cpus, said):
    found = "\n".join(looked(account, {CPUS: cpus}, service_account=ACCOUNT))
    for each in said:
        assert each in found
    assert f"not looked  quota {GPUS}: Vertex AI has no quota of this name in acme" in found


def test_without_an_account_of_its_own_that_is_said():
    assert looked(500, {})[0].startswith("ok  service account: none is named")
