"""Steps over data nobody would write: each does its job, or stops with one ComponentError."""

import contextlib

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import release_artifacts
from any_tables import dataset, described, tables
from depth import tries
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.components.deploy import work as deploy
from kfp_ct.data import batches, layouts
from kfp_ct.data.shuffling import Blocks
from kfp_ct.models import serving_folder

FEW = settings(max_examples=tries(6, 15), deadline=None)


def is_there(value):
    """Null and NaN are missing."""
    return value is not None and value == value


@FEW
@example(table=pa.table({"0": pa.array([float("nan")], pa.float32())}))
@example(table=pa.table({"0": pa.array([float("nan"), 1.0, None], pa.float32())}))
@given(table=tables())
def test_any_rows_are_described_or_refused(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("any")
    if not len(table):
        with pytest.raises(ComponentError, match="no rows"):
            described(folder, table)
        return
    stats, contract = described(folder, table)
    counted = layouts.read_json(f"{stats}/summary.json")["splits"][0]
    present = {each["name"]: each["present"] for each in counted["features"]}
    assert present == {name: sum(map(is_there, table[name].to_pylist())) for name in table.column_names}
    inferred = batches.read_schema(f"{contract}/schema.pbtxt")
    assert {feature.name for feature in inferred.feature} == set(table.column_names)


@FEW
@given(table=tables(min_rows=1), seed=st.integers(0, 2**31), rows=st.integers(1, 7))
def test_blocks_hold_every_row_once_in_any_order(tmp_path_factory, table, seed, rows):
    files = layouts.split_files(dataset(tmp_path_factory.mktemp("any"), table), "train")
    found = pa.Table.from_batches(Blocks(files, table.column_names, seed, 1, rows), table.schema)
    assert sorted(map(repr, found.to_pylist())) == sorted(map(repr, table.to_pylist()))


@settings(max_examples=tries(20, 60), deadline=None)
@given(name=st.text(max_size=20), version=st.integers(1, 99).map(str) | st.text(max_size=8))
@example(name="\0", version="1")
@example(name="m", version="\0")
def test_a_model_of_any_name_is_served_in_its_folder_or_refused(tmp_path_factory, name, version):
    folder = tmp_path_factory.mktemp("any")
    run = release_artifacts.make_run(folder / "run", "a model")
    before = layouts.tree_fingerprint(run.root)
    root, release = folder / "serving", serving_folder.Release(run.model, run.blessing, name, version)
    with contextlib.suppress(ConfigurationError):
        deploy.deploy(release, deploy.Destination(str(root)), 1, str(folder / "deployment"))
        assert (root / name / version / "saved_model.pb").is_file()
    assert {path.name for path in folder.iterdir()} <= {"run", "serving", "deployment"}
    assert layouts.tree_fingerprint(run.root) == before
