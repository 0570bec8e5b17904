"""`make kind`: from nothing to a served model on a cluster of this machine; `make kind-down` removes it.

Run again after a failure, it goes on where it stopped: each step first looks whether it has been done.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kind import steps
from kind.steps import Place
from kind.tools import StepError, Tools, ask_json, require, warn_of_little_memory

ROOT = Path(__file__).resolve().parents[2]
STEPS = (
    steps.start_registry,
    steps.create_cluster,
    steps.connect_registry,
    steps.build_images,
    steps.install_kfp,
    steps.make_secrets,
    steps.apply_manifests,
)

# A flight of the README.
FLIGHT = {
    "carrier": "B6", "origin": "JFK", "dest": "BOS", "day_of_week": 5, "sched_dep_time": 1755, "sched_arr_time": 1910,
    "distance": 187, "wind_speed": 18.4,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the steps; returns the exit code."""
    options = _parser().parse_args(arguments)
    place = Place(ROOT, ROOT / ".ct" / "kind", options.maker, options.patience, options.every)
    tools = Tools(ROOT, place.context)
    try:
        require("docker", place.maker, "kubectl")
        if options.down:
            return _down(place, tools)
        warn_of_little_memory()
        for step in STEPS:
            print(f"{(step.__doc__ or '').splitlines()[0]}", flush=True)
            step(place, tools)
        _run_pipeline(place, tools)
        _ask_model(tools)
    except StepError as error:
        print(f"error: {error}\n  fix: {error.fix}", file=sys.stderr)
        return 1
    print(
        f"KFP's UI: kubectl --context {place.context} --namespace kubeflow port-forward service/ml-pipeline-ui 8080:80"
    )
    print("  then http://localhost:8080; MLflow likewise: --namespace mlflow port-forward service/mlflow 5000")
    return 0


def _run_pipeline(place: Place, tools: Tools) -> None:
    print("Deploys the flights pipeline, runs it there and waits for its end.", flush=True)
    with (
        tools.forwarded("kubeflow", "ml-pipeline", 8888) as host,
        tools.forwarded("kubeflow", "minio-service", 9000) as store,
    ):
        tools.ct(
            "deploy", "flights", "--target", "kfp", "--settings", "kind", "--host", host, "--lock", str(place.lock),
            "--wait", environment=steps.object_store(tools, store),
        )  # fmt: skip


def _ask_model(tools: Tools) -> None:
    print("Asks the served model.", flush=True)
    with tools.forwarded("serving", "flights", 8501) as host:
        versions = json.loads(ask_json(f"{host}/v1/models/flights"))["model_version_status"]
        available = [each["version"] for each in versions if each["state"] == "AVAILABLE"]
        if not available:
            raise StepError("the prediction service has no version that answers", "ct models flights --settings kind")
        question = json.dumps({"instances": [FLIGHT]}).encode()
        late = json.loads(ask_json(f"{host}/v1/models/flights:predict", question))["predictions"]
        print(f"  flights v{', v'.join(available)} answers {late} at service/flights in the namespace serving")


def _down(place: Place, tools: Tools) -> int:
    if place.maker == "kind":
        tools.run("kind", "delete", "cluster", "--name", steps.NAME)
    else:
        tools.run("minikube", "delete", "--profile", steps.NAME)
    if tools.ask("docker", "inspect", steps.REGISTRY) is not None:
        tools.run("docker", "rm", "--force", "--volumes", steps.REGISTRY)
    print("removed: the cluster and its registry; the images stay in Docker")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make kind", description=__doc__)
    parser.add_argument("--maker", choices=("kind", "minikube"), default="kind", help="what makes the cluster")
    parser.add_argument("--down", action="store_true", help="remove the cluster and its registry")
    parser.add_argument("--patience", type=float, default=1800, help="seconds that pods may take to get ready")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
