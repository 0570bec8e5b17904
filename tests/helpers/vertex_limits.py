"""What Vertex AI publishes of names, labels, replicas and traffic, by the comments of its API's messages."""

import re

KEY, VALUE = r"[a-z][a-z0-9_-]{0,62}", r"[a-z0-9_-]{0,63}"
ALIAS = r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]"
DEPLOYED = r"[0-9]{1,10}"
MOST_LABELS, MOST_NAME, MOST_REPLICAS = 64, 128, 1_000


def broken(body: dict) -> str:
    """Returns what a request's body breaks of the limits; empty for nothing."""
    return next(filter(None, _broken(body)), "")


def traffic(split, deployed: set[str]) -> str:
    """Returns why a traffic split is refused."""
    if split and sum(split.values()) != 100:
        return "traffic is not 100"
    unknown = sorted(set(split) - deployed)
    return f"no deployed model {unknown[0]}" if unknown else ""


def _broken(body: dict):
    for kind in ("model", "endpoint", "deployedModel", "batchPredictionJob"):
        each = body.get(kind) or {}
        if isinstance(each, dict):
            yield _named(each)
            yield from (f"alias {alias!r}" for alias in each.get("versionAliases", []) if not matches(ALIAS, alias))
    number = (body.get("deployedModel") or {}).get("id", "1")
    yield "" if matches(DEPLOYED, number) else f"the id {number!r}"
    yield _replicas((body.get("deployedModel") or {}).get("dedicatedResources") or {})


def _named(each: dict) -> str:
    labels = each.get("labels") or {}
    wrong = [key for key, value in labels.items() if not (matches(KEY, key) and matches(VALUE, value))]
    if wrong or len(labels) > MOST_LABELS:
        return f"labels {wrong or len(labels)}: {labels}"
    return "the display name is too long" if len(each.get("displayName", "")) > MOST_NAME else ""


def _replicas(resources: dict) -> str:
    least, most = resources.get("minReplicaCount", 1), resources.get("maxReplicaCount", 1)
    return "" if 1 <= least <= most <= MOST_REPLICAS else f"replicas {least} to {most}"


def matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None
