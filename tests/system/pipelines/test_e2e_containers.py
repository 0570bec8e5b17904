"""The same pipeline in the real image and in processes here: the same data, the same model but for rounding."""

import os

import pytest

import container_engine
from ct_command import SMALL, run

IMAGE = os.environ.get("CT_TEST_IMAGE", "kfp-ct-components:dev")
# Where glibc is older, TensorFlow 2.16 here is held against 2.21 there. Measured: apart by less than 1e-7; other
# processors have other kernels.
TOLERANCE = 0.005
MEASURED = {"auc", "auc_precision_recall", "binary_accuracy", "binary_crossentropy", "calibration"}


def metadata(both, task, artifact):
    return [done.task(task)["artifacts"][artifact]["metadata"] for done in both]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    with container_engine.engine(folder) as host, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", host)
        container_engine.require_shared(host, folder)
        image = container_engine.require_sources(host, IMAGE)
        yield run(folder / "here", *SMALL), run(folder / "there", *SMALL, "--containers", "--image", image)


@pytest.mark.slow
def test_a_run_in_containers_is_the_same_run(both):
    here, there = both
    assert (here.code, there.code) == (0, 0), here.err + there.err
    assert here.states() == there.states()
    assert metadata(both, "ingest", "examples")[0]["fingerprint"]
    for task, artifact in (("ingest", "examples"), ("statistics", "statistics"), ("transform", "transform_graph")):
        mine, theirs = metadata(both, task, artifact)
        assert mine == theirs, f"{task}: the same rows and columns, whatever read them"


@pytest.mark.slow
def test_its_metrics_are_the_same_within_tolerance(both):
    mine, theirs = metadata(both, "evaluate", "metrics")
    assert set(mine) == set(theirs) == {"example_count", *MEASURED}
    assert mine["example_count"] == theirs["example_count"]
    apart = {name: abs(mine[name] - theirs[name]) for name in MEASURED}
    assert {name: each for name, each in apart.items() if each > TOLERANCE} == {}, (mine, theirs)
