"""The six tests of Google's MLOps guide (continuous integration), for a project to inherit.

"MLOps: Continuous delivery and automation pipelines in machine learning" asks a build to test: the feature logic; the
methods of the model; that training converges, down to overfitting a few records; that no NaN comes of divisions by zero
or of very small or large values; that each component makes the artifacts it should; and the components together.

    class TestFlights(ModelTests):
        project = Project(features_module="pipelines.flights.features", …)

The components' own errors are a no as well. A test reads rows of the schema's making unless `table` returns others.
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from kfp_ct.base.errors import ModelNotBlessedError
from kfp_ct.components.deploy import work as deploy
from kfp_ct.components.evaluate import work as evaluate
from kfp_ct.components.schema import work as schema
from kfp_ct.components.statistics import work as statistics
from kfp_ct.components.validate_data import work as validate_data
from kfp_ct.components.validate_data.settings import Parameters
from kfp_ct.components.validate_infra import work as validate_infra
from kfp_ct.data import layouts
from kfp_ct.models import blessing, serving_folder
from kfp_ct.testing import losses, neighbours, rows
from kfp_ct.testing.bench import Bench, Project, invented, require

ROWS, FEW = 400, 32
# Of float32 sums in another order.
_TOLERANCE = 1e-4
# Enough to compare the service's answers by; a trial of its speed is the pipeline's.
_SERVED = {"rows": 40, "tolerance": _TOLERANCE}


class ModelTests:
    """Google's six CI tests over one project; a subclass names the project."""

    project: ClassVar[Project]
    bench: ClassVar[Bench]

    @classmethod
    def table(cls) -> pa.Table:
        """Returns the rows to test with, in the columns of the examples; override it with real ones."""
        return invented(cls.project, ROWS)

    @classmethod
    def few(cls) -> pa.Table:
        """Returns the rows that are learnt by heart: several classes, spread over what its features explain."""
        table = cls._explained()
        return table.take(pa.array(np.linspace(0, table.num_rows - 1, FEW).astype(int)))

    @classmethod
    def _explained(cls) -> pa.Table:
        """Returns the rows whose labels their features explain; all where those are too few, or labels no classes."""
        bench, label = cls.bench, cls.project.label
        features = bench.features(bench.graph, bench.table)
        if cls.project.task == "regression" or label not in features:
            return bench.table
        labels = features.pop(label).reshape(-1)
        kept = neighbours.explained(features, labels)
        return bench.table.filter(pa.array(kept)) if kept.sum() >= FEW and len(set(labels[kept])) > 1 else bench.table

    @classmethod
    def setup_class(cls) -> None:
        """Makes the bench that the tests of a class share."""
        cls.bench = Bench(cls.project, cls.table())

    @classmethod
    def teardown_class(cls) -> None:
        """Removes it."""
        cls.bench.close()

    # 1. Feature logic

    def test_every_row_has_its_features(self) -> None:
        """Each feature has one entry a row, whatever is missing in the row."""
        count = self.bench.table.num_rows
        features = self.bench.features(self.bench.graph, self.bench.table)
        lengths = {name: len(values) for name, values in features.items() if len(values) != count}
        require(not lengths, f"{count} rows make features of other lengths: {lengths}")
        require(self.project.label in features, f"the label {self.project.label} is not among {sorted(features)}")
        require(len(features) > 1, "the label is the only feature")

    def test_no_feature_depends_on_what_is_unknown_when_serving(self) -> None:
        """The label, and what the schema takes out of SERVING, change no feature but the label: nothing leaks."""
        table, graph = self.bench.table, self.bench.graph
        unknown = [name for name in table.column_names if name not in self.bench.served]
        shuffled = table.slice(0, 0).schema
        order = pa.array(np.roll(np.arange(table.num_rows), 1))
        other = pa.table(
            [table[name].take(order) if name in unknown else table[name] for name in table.column_names],
            schema=shuffled,
        )
        before, after = self.bench.features(graph, table), self.bench.features(graph, other)
        leaking = [n for n in before if n != self.project.label and not _same(before[n], after[n])]
        require(not leaking, f"the features {leaking} change with {unknown}, which are unknown when serving: a leak")

    def test_a_row_has_the_same_features_alone_as_among_others(self) -> None:
        """A feature is a function of its row and of what was analysed in training, not of the batch."""
        table, graph = self.bench.table, self.bench.graph
        together = self.bench.features(graph, table)
        for row in (0, table.num_rows - 1):
            alone = self.bench.features(graph, table.slice(row, 1))
            other = [name for name in together if not _same(together[name][row : row + 1], alone[name])]
            require(not other, f"the features {other} of row {row} depend on the other rows of its batch")

    # 2. Methods of the model

    def test_the_model_is_asked_with_columns_known_when_serving(self) -> None:
        """`serving_default` takes raw columns of the schema, or serialised examples of them."""
        signatures = self.bench.signatures(self.bench.model)
        require("serving_default" in signatures, f"no signature serving_default among {sorted(signatures)}")
        asked = set(signatures["serving_default"].structured_input_signature[1])
        unknown = sorted(asked - set(self.bench.served))
        require(not unknown or len(asked) == 1, f"the model asks for {unknown}, which are unknown when serving")

    def test_an_answer_is_one_of_its_task(self) -> None:
        """Probabilities lie between 0 and 1 (and add up); the same row gets the same answer, alone or not."""
        table = self.bench.table
        answers = self.bench.answers(self.bench.model, table)
        require(len(answers) == table.num_rows, f"{table.num_rows} rows have {len(answers)} answers")
        require(bool(np.isfinite(answers).all()), "the answer to an ordinary row is not a finite number")
        if self.project.task != "regression":
            outside = answers[(answers < 0) | (answers > 1)]
            require(not outside.size, f"{outside.size} answers are no probabilities, such as {outside[:1]}")
        if self.project.task == "multiclass":
            require(np.allclose(answers.sum(-1), 1, atol=1e-3), "the probabilities of the classes do not add up to 1")
        alone = self.bench.answers(self.bench.model, table.slice(3, 1))
        require(np.allclose(alone, answers[3:4], rtol=_TOLERANCE, atol=1e-6), "a row's answer depends on its batch")

    def test_signatures_agree(self) -> None:
        """Every other signature with one string input answers serialised examples as `serving_default` does."""
        default = self.bench.answers(self.bench.model, self.bench.table)
        for name, signature in self.bench.signatures(self.bench.model).items():
            if name != "serving_default" and len(signature.structured_input_signature[1]) == 1:
                other = self.bench.answers(self.bench.model, self.bench.table, name)
                require(np.allclose(default, other, rtol=_TOLERANCE, atol=1e-6), f"{name} answers otherwise")

    # 3. Training

    def test_training_learns_a_few_rows_by_heart(self) -> None:
        """The loss over 32 rows falls well below the best constant answer's: gradients reach every layer."""
        bench, project = self.bench, self.project
        few = self.few()
        require(len(few) >= FEW // 2, f"{len(few)} rows to learn by heart")
        labels = self._labels(few)
        require(len(set(labels)) > 1, "the rows to learn by heart have one label only")
        # What is held out of a dataset is no part of training, so the rows are all there twice.
        examples = bench.dataset("few", _doubled(few))
        model = bench.train(examples, bench.graph, {**project.hyperparameters, **project.overfit}, "few-model")
        left = losses.loss(project.task, bench.answers(model, few), labels)
        constant = losses.constant_loss(project.task, labels)
        require(
            left <= project.overfit_loss * constant,
            f"32 rows are not learnt: a loss of {left:.4f} where a constant answer has {constant:.4f}\n"
            f"expected: {project.overfit_loss:.0%} of it at most\n"
            "fix: look at the label, the learning rate, the features",
        )

    def test_training_converges(self) -> None:
        """The training loss is finite in every epoch and lower at the end than at the start, or was one epoch long."""
        _ = self.bench.model
        history = layouts.read_json(self.bench.path("model-run/summary.json"))["history"]
        require(bool(history), "training reports no epoch: pass fn_args.callbacks to model.fit")
        found = [epoch["loss"] for epoch in history]
        require(bool(np.isfinite(found).all()), f"the loss is not finite: {found}")
        require(len(found) == 1 or min(found[1:]) < found[0], f"the loss does not fall: {found}")

    # 4. No NaN

    def test_extreme_values_have_a_finite_answer(self) -> None:
        """Zero, tiny, huge, infinite and missing values, empty and endless texts, one by one and all at once."""
        bench = self.bench
        cases = rows.extreme(bench.table, bench.served)
        require(bool(cases), "no column to try extreme values in")
        table = pa.concat_tables([row for _, row in cases])
        made = {**bench.features(bench.graph, table), "the answer": bench.answers(bench.model, table)}
        finite = np.all([_finite(values) for values in made.values()], axis=0)
        bad = [what for (what, _), good in zip(cases, finite, strict=True) if not good]
        require(
            not bad,
            f"{len(bad)} of {len(cases)} extreme rows make NaN or infinity, in a feature or the answer:\n"
            f"{'; '.join(bad[:10])}",
        )

    def test_columns_of_one_value_make_finite_features(self) -> None:
        """A standard deviation of zero is divided by nowhere."""
        columns = {name: column.drop_null()[:1].to_pylist() for name, column in _columns(self.bench.table)}
        constant = pa.table(
            {name: (values or [None]) * FEW for name, values in columns.items()}, schema=self.bench.table.schema
        )
        graph = self.bench.analyze(self.bench.dataset("constant", constant), "constant-graph")
        features = self.bench.features(graph, constant)
        bad = [name for name, values in features.items() if not _finite(values).all()]
        require(not bad, f"the features {bad} are not finite where a column has one value only")

    # 5. Artifacts

    def test_components_leave_their_artifacts(self) -> None:
        """Every step leaves the files that the next one, and TFX's tools, open."""
        bench = self.bench
        statistics.write_statistics(bench.examples, bench.path("statistics"), bench.path("statistics.html"), [])
        schema.write_schema(bench.path("statistics"), bench.path("schema"), self.project.schema_file)
        folders = {"examples": bench.examples, "graph": bench.graph, "model": bench.model}
        expected = [
            "examples/manifest.json", "statistics/Split-train/FeatureStats.pb", "statistics/Split-eval/FeatureStats.pb",
            "statistics/summary.json", "statistics.html", "schema/schema.pbtxt", "graph/transform_fn/saved_model.pb",
            "graph/transformed_metadata/schema.pbtxt", "graph/summary.json", "model/Format-Serving/saved_model.pb",
            "model/Training/schema.pbtxt", "model/Training/manifest.json", "model-run/summary.json",
        ]  # fmt: skip
        missing = [name for name in expected if not Path(bench.path(name)).is_file()]
        require(not missing, f"{missing} are missing in {sorted(folders.values())}")

    # 6. Components together

    def test_components_work_together(self) -> None:
        """Statistics to deploy over the same rows: every verdict has reasons, and only what passed both is deployed."""
        bench, project = self.bench, self.project
        statistics.write_statistics(bench.examples, bench.path("all/stats"), bench.path("all/stats.html"), [])
        schema.write_schema(bench.path("all/stats"), bench.path("all/schema"), project.schema_file)
        found = validate_data.Outputs(bench.path("all/anomalies"), bench.path("all/anomalies.html"))
        given = validate_data.Inputs(bench.path("all/stats"), bench.path("all/schema"))
        validate_data.validate(given, found, Parameters(label=project.label))
        request = evaluate.EvaluationRequest(
            bench.examples, bench.path("all/schema/schema.pbtxt"), bench.model, "", "", project.eval_config, {}
        )
        outputs = (bench.path("all/evaluation"), bench.path("all/blessing"), bench.path("all/evaluation.html"))
        result = evaluate.evaluate(request, evaluate.Outputs(*outputs))
        verdict = blessing.read(outputs[1])
        require(verdict.blessed == result.blessed, "the verdict and its artifact differ")
        require(bool(verdict.checks), "the verdict has no reason")
        measured = layouts.read_json(Path(outputs[0]) / layouts.SUMMARY)["metrics"]
        require(bool(measured.get("challenger")), "the evaluation has measured nothing")
        require(not self._deploy(outputs[1]), "a model is deployed that no service was tried with")
        if verdict.blessed:
            final = self._tried(outputs[1])
            require(final.blessed, f"the service cannot serve the model: {'; '.join(final.refusals[:3])}")
            require(self._deploy(bench.path("all/final")), "a model that passed both gates is not deployed")

    def _labels(self, table: pa.Table) -> np.ndarray:
        """Returns labels as numbers; of classes that are texts, the numbers that the features give them."""
        label = self.project.label
        if pa.types.is_string(table.schema.field(label).type):
            return self.bench.features(self.bench.graph, table)[label].astype("float64")
        return table[label].to_numpy().astype("float64")

    def _tried(self, evaluated: str) -> blessing.Blessing:
        """Asks the prediction service, with the model loaded, for answers to rows; returns the final verdict."""
        bench, final = self.bench, self.bench.path("all/final")
        request = validate_infra.InfraRequest(bench.examples, bench.model, "", "", evaluated, dict(_SERVED))
        outputs = validate_infra.Outputs(final, bench.path("all/infra"), bench.path("all/infra.html"))
        validate_infra.validate(request, outputs)
        return blessing.read(final)

    def _deploy(self, blessing_path: str) -> bool:
        release = serving_folder.Release(self.bench.model, blessing_path, "model", "1")
        try:
            deploy.deploy(release, deploy.Destination(self.bench.path("serving")), 1, self.bench.path("deployment"))
        except ModelNotBlessedError:
            return False
        return Path(self.bench.path("serving/model/1/saved_model.pb")).is_file()


def _columns(table: pa.Table) -> list[tuple[str, Any]]:
    return list(zip(table.column_names, table.columns, strict=True))


def _finite(values: np.ndarray) -> np.ndarray:
    """Whether each row's values are all finite; texts and whole numbers are."""
    if values.dtype.kind != "f":
        return np.ones(len(values), bool)
    return np.isfinite(values.reshape(len(values), -1)).all(axis=1)


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    if first.shape != second.shape:
        return False
    if first.dtype.kind in "OSU":
        return bool((first == second).all())
    return bool(np.allclose(first, second, rtol=_TOLERANCE, atol=1e-5, equal_nan=True))


def _doubled(few: pa.Table) -> pa.Table:
    """Puts every row into both splits: the bench holds every fourth row out."""
    order = [row for start in range(0, len(few), 3) for row in (start, *range(start, min(start + 3, len(few))))]
    return few.take(pa.array(order))
