"""Projects of data whose columns are called like parts of a model, and whose texts a vocabulary would leave out."""

from string import Template

import pytest
import tensorflow as tf
import tensorflow_transform as tft

import small_examples
from kfp_ct.components.ingest import work as ingest
from kfp_ct.components.train import work as train
from kfp_ct.components.transform import work as transform
from kfp_ct.new import tasks
from kfp_ct.new.profiling import columns, work
from repository import ROOT

# What Keras, TensorFlow and the model itself call something.
TAKEN = [
    "numbers",
    "probability",
    "self",
    "dense",
    "embedding",
    "concatenate",
    "dropout",
    "training",
    "value",
    "inputs",
]


def filled(folder, template, profile) -> str:
    names = {name: repr(tuple(profile[name])) for name in ("numbers", "categories")}
    pieces = tasks.pieces(profile)
    if profile["task"] == tasks.MULTICLASS:
        pieces["classes"] = f"CLASSES = {tuple(profile['classes'])!r}\n"
    text = Template((ROOT / f"kfp_ct/new/templates/{template}.py.template").read_text()).substitute(
        pieces,
        name=folder.name,
        label=repr(profile["label"]),
        label_name=profile["label"],
        task=profile["task"],
        **names,
    )
    text = text.replace(f"pipelines.{folder.name}.features", f"{folder.name}_features")
    return small_examples.write_text(folder / f"{folder.name}_{template}.py", text)


def trained(folder, data, label, monkeypatch, epochs):
    """Goes from a CSV file to a model as a new project does."""
    monkeypatch.syspath_prepend(folder)
    profile = work.profile(work.Request(str(data), label, "", ""))
    sql = small_examples.write_text(folder / "examples.sql", profile["sql"])
    source = {"data": {"uri": str(data), "format": "csv"}}
    ingest.ingest(ingest.IngestRequest(source, sql, profile["split"]), folder / "examples")
    schema = small_examples.write_text(folder / "schema.pbtxt", profile["schema"])
    request = transform.TransformRequest(str(folder / "examples"), schema, filled(folder, "features", profile))
    transform.analyze(request, str(folder / "graph"))
    asked = train.TrainingRequest(
        examples_path=str(folder / "examples"), graph_path=str(folder / "graph"), schema_file=schema,
        module=filled(folder, "model", profile), base_model_path="", hyperparameters={"epochs": epochs},
    )  # fmt: skip
    train.train(asked, str(folder / "model"), str(folder / "run"))
    return profile, tf.saved_model.load(str(folder / "model/Format-Serving"))


@pytest.mark.parametrize("label", ["missing", "numbers"])
def test_columns_called_like_parts_of_a_model_train_and_serve(tmp_path, label, monkeypatch):
    folder = tmp_path / f"taken_{label}"
    folder.mkdir()
    names = [name for name in TAKEN if name != label]
    rows = ((f"{'ab'[n % 2]}{i}" if i % 2 else n * (i + 3) % 17 + 0.5 for i in range(len(names))) for n in range(200))
    text = "".join(f"{','.join(map(str, row))},{n % 2}\n" for n, row in enumerate(rows))
    (folder / "d.csv").write_text(f"{','.join(names)},{label}\n{text}")
    profile, model = trained(folder, folder / "d.csv", label, monkeypatch, epochs=1)
    served = model.signatures["serving_default"]
    assert set(served.structured_input_signature[1]) == {*profile["numbers"], *profile["categories"]}
    asked = {name: tf.constant([1.0]) for name in profile["numbers"]}
    asked |= {name: tf.constant(["a1"]) for name in profile["categories"]}
    assert served(**asked)["probability"].shape == (1, 1)


def test_no_column_is_called_self():
    assert columns.safe_names(["self", "Self ", "row_key"]) == {
        "self": "self_2",
        "Self ": "self_3",
        "row_key": "row_key_2",
    }


TEXTS = {"a\nb": 1, "c\nd": 0, "c\\nd": 1, "e\r\nf": 0, "": 1, "plain": 0}


def test_texts_with_line_breaks_and_missing_ones_are_told_apart(tmp_path, monkeypatch):
    folder = tmp_path / "lines"
    folder.mkdir()
    quoted = [('"' + text + '"' if text else "", label) for text, label in TEXTS.items()]
    rows = (f"k{n},{n % 7 + 0.5},{text},{label}\n" for n, (text, label) in enumerate(quoted * 60))
    (folder / "d.csv").write_text("key,amount,kind,left\n" + "".join(rows), newline="")
    _, model = trained(folder, folder / "d.csv", "left", monkeypatch, epochs=30)
    kept = tft.TFTransformOutput(str(folder / "graph")).vocabulary_by_name("kind")
    assert sorted(kept) == sorted([rb"a\nb", rb"c\nd", rb"c\\nd", rb"e\r\nf", rb"\missing", b"plain"])
    served = model.signatures["serving_default"]
    asked = {"amount": tf.fill([len(TEXTS) + 1], 3.5), "kind": tf.constant([*TEXTS, "never seen"])}
    *scores, unknown = served(**asked)["probability"].numpy()[:, 0]
    assert [round(float(score)) for score in scores] == list(TEXTS.values())
    assert unknown not in scores
