"""What the prediction service bears: damaged models, many connections, versions that change under load.

    .venv-components/bin/python benchmarks/serving_load.py                       # a short look at each, a minute or two
    .venv-components/bin/python benchmarks/serving_load.py --models 200 --connections 1000 --seconds 600 --every 20

Every version of the model that is made for it predicts its own number, so that an answer says who gave it. An answer is
by a wrong version if it is neither of the newest that was served when the request was sent, nor of one that came since.
"""

import argparse
import asyncio
import collections
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers"), str(ROOT / "tests")]

from damaged_models import damage  # noqa: E402
from prediction_server import Server  # noqa: E402
from saved_models import save  # noqa: E402

BODY = b'{"instances": [{"hour": 1}]}'
PATH = "/v1/models/flights:predict"
CLIENTS = 16


def main() -> None:
    """Runs what was asked for; prints one JSON object a part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=20, help="damaged models (default: %(default)s)")
    parser.add_argument("--connections", type=int, default=200, help="open at a time (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="of load with switches (default: %(default)s)")
    parser.add_argument("--every", type=float, default=5, help="seconds between switches (default: %(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made"
        save(made, 1)
        parts: tuple[tuple[str, Callable[[Path], dict[str, Any]]], ...] = (
            ("damaged models", lambda root: damaged(root, made, given.models)),
            ("connections", lambda root: connections(root, made, given.connections)),
            ("version switches", lambda root: switches(root, given.seconds, given.every)),
        )
        for name, part in parts:
            print(json.dumps({"part": name, **part(Path(folder) / name)}), flush=True)


@contextmanager
def served(root: Path, made: Path | None = None) -> Iterator[Server]:
    """Gives a service that answers by version 1."""
    if made:
        shutil.copytree(made, root / "flights" / "1")
    else:
        save(root / "flights" / "1", 1)
    server = Server(root)
    try:
        server.wait_for("1")
        yield server
    finally:
        server.stop()


def damaged(root: Path, made: Path, models: int) -> dict[str, Any]:
    """Puts damaged versions of another model beside a whole one, which is asked meanwhile."""
    failed = 0
    with served(root, made) as server:
        for seed in range(models):
            partial = root / "bad" / f".partial-{seed}"
            shutil.copytree(made, partial)
            damage(partial, seed)
            partial.rename(root / "bad" / str(seed + 1))
            failed += server.predict(BODY).json() != {"predictions": [[1.0]]}
            until = time.monotonic() + 60
            while not (state := _state(server, "bad", str(seed + 1))) and time.monotonic() < until:
                failed += server.predict(BODY).json() != {"predictions": [[1.0]]}
            if state == "AVAILABLE":  # damaged where nothing is read, or exchanged for itself
                shutil.rmtree(root / "bad" / str(seed + 1))
        states = [_state(server, "bad", str(seed + 1)) or "not listed" for seed in range(models)]
        return {
            "models": models,
            "states": dict(collections.Counter(states)),
            "failed answers of the whole model": failed,
        }


def connections(root: Path, made: Path, number: int) -> dict[str, Any]:
    """Keeps connections open, each of which asks ten times."""
    with served(root, made) as server:
        before = _memory(server)

        async def ask() -> collections.Counter[str]:
            limits = httpx.Limits(max_connections=number, max_keepalive_connections=number)
            async with httpx.AsyncClient(base_url=server.url, trust_env=False, limits=limits, timeout=120) as client:
                counts: collections.Counter[str] = collections.Counter()
                for _ in range(10):
                    answers = await asyncio.gather(*(client.post(PATH, content=BODY) for _ in range(number)))
                    counts.update(str(each.status_code) for each in answers)
                return counts

        statuses = asyncio.run(ask())
        return {"connections": number, "statuses": dict(statuses), "memory before (MB)": before,
                "memory at its height (MB)": _memory(server, "VmHWM")}  # fmt: skip


def switches(root: Path, seconds: float, every: float) -> dict[str, Any]:
    """Asks without a pause while a newer version comes and the oldest but one goes, again and again."""
    with served(root) as server:
        return asyncio.run(_Switching(root / "flights", server).run(seconds, every))


class _Switching:
    """Clients, and who brings new versions."""

    def __init__(self, model: Path, server: Server) -> None:
        self._model, self._server = model, server
        self._newest, self._coming, self._end = 1, 1, 0.0
        self._counts: collections.Counter[str] = collections.Counter()

    async def run(self, seconds: float, every: float) -> dict[str, Any]:
        self._end = time.monotonic() + seconds
        before = _memory(self._server)
        await asyncio.gather(self._bring(every), *(self._ask() for _ in range(CLIENTS)))
        wanted = {name: self._counts[name] for name in ("answers", "failed answers", "wrong-version answers")}
        return {"seconds": seconds, "switches": self._newest - 1, **wanted, "memory before (MB)": before,
                "memory after (MB)": _memory(self._server)}  # fmt: skip

    async def _bring(self, every: float) -> None:
        async with httpx.AsyncClient(base_url=self._server.url, trust_env=False) as client:
            while time.monotonic() + every < self._end:
                await asyncio.sleep(every)
                self._coming += 1
                partial = self._model / ".partial"
                await asyncio.to_thread(save, partial, self._coming)
                partial.rename(self._model / str(self._coming))
                while not await self._available(client):
                    await asyncio.sleep(0.05)
                self._newest = self._coming
                shutil.rmtree(self._model / str(self._newest - 1), ignore_errors=True)

    async def _available(self, client: httpx.AsyncClient) -> bool:
        found = (await client.get("/v1/models/flights")).json().get("model_version_status", [])
        return any(each["version"] == str(self._coming) and each["state"] == "AVAILABLE" for each in found)

    async def _ask(self) -> None:
        async with httpx.AsyncClient(base_url=self._server.url, trust_env=False, timeout=30) as client:
            while time.monotonic() < self._end:
                oldest = self._newest
                answer = await client.post(PATH, content=BODY)
                self._counts["answers"] += 1
                if answer.status_code != 200:
                    self._counts["failed answers"] += 1
                elif not oldest <= answer.json()["predictions"][0][0] <= self._coming:
                    self._counts["wrong-version answers"] += 1


def _state(server: Server, model: str, version: str) -> str:
    """Returns the state of a version that was looked at; empty until it was."""
    answer = server.client.get(f"/v1/models/{model}").json()
    states = {each["version"]: each["state"] for each in answer.get("model_version_status", [])}
    return states.get(version, "") if states.get(version) in ("END", "AVAILABLE") else ""


def _memory(server: Server, field: str = "VmRSS") -> int:
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) // 1024
    raise RuntimeError(f"no {field} in /proc")


if __name__ == "__main__":
    main()
