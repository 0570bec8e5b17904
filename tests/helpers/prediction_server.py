"""The prediction service as a process, and a client of it."""

import json
import subprocess
import sys
import time

import httpx

from repository import ROOT

START_SECONDS = 60


class Server:
    """A running service."""

    def __init__(self, root, *options, python=None):
        command = [str(python or sys.executable), "-m", "kfp_ct.serving", "--root", str(root)]
        command += ["--port", "0", "--poll-seconds", "0.2"]
        self.process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        places = json.loads(self.process.stdout.readline())
        self.url, self.grpc = places["url"], places.get("grpc")
        self.client = httpx.Client(base_url=self.url, trust_env=False)

    def predict(self, body, path="/v1/models/flights:predict"):
        return self.client.post(path, content=body if isinstance(body, bytes | str) else json.dumps(body))

    def status(self):
        versions = self.client.get("/v1/models/flights").json().get("model_version_status", [])
        return {status["version"]: status["state"] for status in versions}

    def wait_for(self, version):
        deadline = time.monotonic() + START_SECONDS
        while self.status().get(version) != "AVAILABLE":
            assert time.monotonic() < deadline, f"version {version} never came: {self.status()}"
            time.sleep(0.05)

    def stop(self):
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(120)
        self.process.stdout.close()
        return code
