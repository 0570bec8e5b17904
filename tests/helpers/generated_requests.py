"""Requests to the endpoint, generated from a seed: bodies, queries, page tokens and filters, right, nearly so, or not.

By hand, for many: `python -m generated_requests COUNT SEED` (with tests/helpers and the repository on PYTHONPATH).
"""

import base64
import copy
import json
import random
import string
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
import yaml

import local_endpoint

API = "/apis/v2beta1"
LISTS = ("pipelines", "experiments", "runs", "recurringruns")
PATHS = [
    ("GET", "/{list}"), ("GET", "/{list}"), ("GET", "/{list}"), ("GET", "/{list}/{id}"), ("DELETE", "/{list}/{id}"),
    ("POST", "/{list}"), ("POST", "/{list}"), ("POST", "/{list}/{id}:{verb}"), ("GET", "/pipelines/names/{id}"),
    ("PATCH", "/pipelines/{id}"), ("GET", "/pipelines/{id}/versions"), ("POST", "/pipelines/{id}/versions"),
    ("PATCH", "/pipelines/{id}/versions/{id}"), ("POST", "/pipelines/create"), ("POST", "/pipelines/upload"),
    ("POST", "/pipelines/upload_version"), ("GET", "/runs/{id}/nodes/{id}/artifacts/{id}:read"), ("GET", "/healthz"),
]  # fmt: skip
VERBS = ("archive", "unarchive", "terminate", "retry", "enable", "disable", "fly")
OPERATIONS = ["EQUALS", "NOT_EQUALS", "GREATER_THAN", "LESS_THAN_EQUALS", "IN", "IS_SUBSTRING", "LIKE", 1, 8, 99, None]
KEYS = ["name", "display_name", "created_at", "finished_at", "state", "storage_state", "id", "tags.a", "tags.", "x", 7]
VALUES = ["string_value", "timestamp_value", "int_value", "long_value", "string_values", "int_values", "stringValue"]


class Generator:
    """Draws requests; `known` are ids and page tokens that the endpoint has given."""

    def __init__(self, seed: int, spec: dict[str, Any]) -> None:
        self.random = random.Random(seed)
        self.known = ["none"]
        self.tokens = [""]
        text = {"display_name": "one", "description": "of it"}
        config = {"parameters": {"number": 1, "note": "x"}, "pipeline_root": "s3://a/b"}
        run = {**text, "pipeline_spec": spec, "runtime_config": config, "service_account": "s"}
        cron = {"cron_schedule": {"cron": "0 0 4 * * *", "start_time": "2099-01-01T00:00:00Z"}}
        self.bodies = {
            "pipelines": {**text, "name": "two", "tags": {"a": "b"}}, "experiments": text, "runs": run,
            "recurringruns": {**run, "trigger": cron, "max_concurrency": "2", "mode": "DISABLE", "no_catchup": True},
            "versions": {**text, "name": "v", "pipeline_spec": spec, "tags": {"a": "b"}, "code_source_url": "http://x"},
        }  # fmt: skip
        self.bodies["create"] = {"pipeline": self.bodies["pipelines"], "pipeline_version": self.bodies["versions"]}
        self.package = yaml.safe_dump(spec)

    def request(self) -> tuple[str, str, dict[str, Any]]:
        """Returns a method, a path and what else urllib3 sends."""
        method, form = self.random.choice(PATHS)
        kind = self.random.choice(LISTS)
        path = form.replace("{list}", kind).replace("{verb}", self.random.choice(VERBS))
        while "{id}" in path:
            path = path.replace("{id}", self.key(), 1)
        if "upload" in path:
            fields = {"uploadfile": (self.text().replace("\ud800", ""), self.file())}
            return (
                method,
                f"{API}{path}?{self.query(('name', 'pipelineid', 'tags', 'description'))}",
                {"fields": fields},
            )
        if method in ("POST", "PATCH") and ":" not in path:
            last = path.rpartition("/")[2]
            body = self.bodies.get(last) or self.bodies["versions" if "versions" in path else "pipelines"]
            return method, API + path, self.body(body)
        return (
            method,
            f"{API}{path}?{self.query(('page_token', 'page_size', 'sort_by', 'filter', 'experiment_id'))}",
            {},
        )

    def key(self) -> str:
        odd = quote(self.text().encode(errors="surrogatepass"), safe="")
        return self.random.choice([self.random.choice(self.known), self.random.choice(self.known), odd or "x"])

    def text(self) -> str:
        letters = string.ascii_letters + " /\\\"'<>%&?#[]{}:;.,é€😀\x00\n\ud800"
        size = self.random.choice([0, 1, 3, 12, 12, 130, 300])
        return "".join(self.random.choice(letters) for _ in range(size))

    def number(self) -> Any:
        return self.random.choice([0, 1, -1, 5, 200, 2**31, 2**63 - 1, 2**63, -(2**64), 10**30, 1.5, 1e300])

    def odd(self, depth: int = 0) -> Any:
        kind = self.random.randrange(8 if depth < 4 else 5)
        if kind == 5:
            return [self.odd(depth + 1) for _ in range(self.random.randrange(3))]
        if kind >= 6:
            return {self.text(): self.odd(depth + 1) for _ in range(self.random.randrange(3))}
        return [None, self.random.random() < 0.5, self.number(), self.text(), "2026-01-31T04:30:00Z"][kind]

    def body(self, valid: dict[str, Any]) -> dict[str, Any]:
        if self.random.random() < 0.1:
            raw = self.random.choice(
                [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":' * 5000, b"1" * 5000, b"[" * 9999]
            )
            return {
                "body": raw,
                "headers": {"content-type": self.random.choice(["application/json", "text/plain", "x"])},
            }
        body = copy.deepcopy(valid)
        for _ in range(self.random.randrange(1, 4)):
            self.change(body)
        return {"body": json.dumps(body).encode(), "headers": {"content-type": "application/json"}}

    def change(self, body: dict[str, Any]) -> None:
        """Changes a place somewhere in a body: away, another value, another name, or an entry more."""
        place: Any = body
        while True:
            inside = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not inside:
                return
            key = self.random.choice(inside)
            if not isinstance(place[key], dict | list) or self.random.random() < 0.4:
                break
            place = place[key]
        how = self.random.randrange(4)
        if how == 0:
            del place[key]
        elif how == 1 and isinstance(place, dict):
            place[self.text()] = place.pop(key)
        else:
            place[key] = self.random.choice([self.odd(), self.random.choice(self.known)])

    def query(self, names: tuple[str, ...]) -> str:
        makers = {"page_token": self.token, "filter": self.filter, "page_size": self.number, "sort_by": self.order}
        chosen = [name for name in names if self.random.random() < 0.5]
        pairs = [(name, str(makers.get(name, self.text)()).encode(errors="surrogatepass")) for name in chosen]
        return urlencode(pairs)

    def order(self) -> str:
        field = self.random.choice(["created_at", "name", "DISPLAY_NAME", "id", "x", self.text()])
        return f"{field} {self.random.choice(['', 'asc', 'desc', 'DESC', 'up'])}"

    def filter(self) -> str:
        def predicate() -> dict[str, Any]:
            value = self.random.choice(
                [self.odd(), self.number(), {"values": [self.odd(), self.number()]}, "2026-01-01T00:00:00Z"]
            )
            made = {"operation": self.random.choice(OPERATIONS), "key": self.random.choice(KEYS)}
            return made | {self.random.choice(VALUES): value}

        made: Any = {"predicates": [predicate() for _ in range(self.random.randrange(3))]}
        return self.random.choice([json.dumps(made), json.dumps(made), json.dumps(self.odd()), self.text()])

    def token(self) -> str:
        content = {"sort_by": self.order(), "filter": "", "value": self.odd(), "id": self.random.choice(self.known)}
        forged = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        return self.random.choice([self.random.choice(self.tokens), forged, self.text()])

    def file(self) -> bytes:
        text = self.package
        for _ in range(self.random.randrange(4)):
            start = self.random.randrange(len(text))
            text = (
                text[:start]
                + self.random.choice(["", self.text(), "&a [*a]", "\n---\n", "!!python/x "])
                + text[start + self.random.randrange(9) :]
            )
        return self.random.choice(
            [
                text.encode(errors="surrogatepass"),
                self.text().encode(errors="surrogatepass"),
                b"PK\x03\x04",
                b"\x1f\x8b\x08",
            ]
        )


def ask_all(url: str, generator: Generator, count: int) -> dict[int, int]:
    """Sends requests; returns how many were answered with which status.

    Raises:
        AssertionError: One broke the endpoint, was refused in another form than KFP's, or the next ordinary one was.
    """
    pool = urllib3.PoolManager(timeout=60, retries=False)
    statuses: dict[int, int] = {}
    for number in range(count):
        method, path, more = generator.request()
        answer = pool.request(method, url + path, **more)
        said = f"request {number}: {method} {path[:200]} {str(more)[:500]} → {answer.status} {answer.data[:300]!r}"
        assert answer.status < 500, said
        if answer.status == 307:  # a slash too many
            continue
        assert answer.headers.get("content-type") == "application/json", said
        content = json.loads(answer.data)
        assert answer.status < 400 or {"error", "code", "message"} <= set(content), said
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        learn(generator, content)
        if number % 50 == 0:
            ordinary = pool.request("POST", f"{url}{API}/experiments", json={"display_name": f"ordinary {number}"})
            assert ordinary.status == 200, f"after {said}: {ordinary.data!r}"
            assert pool.request("GET", f"{url}{API}/runs").status == 200, f"after {said}"
    return statuses


def learn(generator: Generator, content: Any) -> None:
    """Keeps the ids and page tokens of an answer for later requests."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name.endswith("_id") and isinstance(value, str):
                generator.known = [*generator.known[-40:], value]
        if content.get("next_page_token"):
            generator.tokens = [*generator.tokens[-10:], content["next_page_token"]]


def main() -> None:
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        spec = yaml.safe_load(
            Path(local_endpoint.compiled(local_endpoint.doubling, Path(folder) / "d.yaml")).read_text()
        )
        with local_endpoint.running(Path(folder) / "home") as running:
            started = time.monotonic()
            statuses = ask_all(running.url, Generator(seed, spec), count)
            print(
                f"{count} requests, seed {seed}, {time.monotonic() - started:.0f} s: {dict(sorted(statuses.items()))}"
            )


if __name__ == "__main__":
    main()
