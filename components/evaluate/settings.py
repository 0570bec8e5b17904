"""The settings of evaluate: the EvalConfig file and the gates that stand beside it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.base.setting_problems import nearest
from kfp_ct.base.settings import (
    Count,
    Names,
    NamesModule,
    NamesText,
    NotNegative,
    Settings,
    Text,
    Texts,
    expected,
    misfit,
)
from kfp_ct.components.evaluate import eval_config, model_statement_gate, multilabel_metrics
from kfp_ct.data.layouts import EVAL, TRAIN

BINARY, MULTICLASS, MULTILABEL, REGRESSION = "binary", "multiclass", "multilabel", "regression"
PROBABILITIES, LOGITS = "probabilities", "logits"
# The primary metrics of each task; the first is the default.
METRICS = {
    BINARY: ("auc", "log_loss", "accuracy", "balanced_accuracy"),
    MULTICLASS: ("accuracy", "log_loss", "macro_auc", "balanced_accuracy"),
    MULTILABEL: (
        "macro_auc", "micro_auc", "log_loss", "hamming_loss", "subset_accuracy", "macro_f1", "micro_f1",
    ),
    REGRESSION: ("rmse", "mse", "mae", "r2"),
}  # fmt: skip
_MAKER = "kfp_ct.components.evaluate.function_config"
Metric = Literal[
    "", "auc", "log_loss", "accuracy", "balanced_accuracy", "macro_auc", "micro_auc", "hamming_loss",
    "subset_accuracy", "macro_f1", "micro_f1", "rmse", "mse", "mae", "r2",
]  # fmt: skip


def _names_or_file(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise misfit("expected a list of names, or the name of a vocabulary file")


def _splits(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value):
        if TRAIN not in value:
            return tuple(dict.fromkeys(value))
        raise misfit("train is what models have learnt, so it says nothing of them; expected other splits")
    raise misfit("expected names of splits other than train, such as [eval, test]")


class Gates(Settings):
    """What must hold besides the EvalConfig's thresholds."""

    task: Literal["", "binary", "multiclass", "multilabel", "regression"] = Field(
        "",
        description="The task; empty: what the EvalConfig, the labels and the predictions say. multilabel: labels are "
        "lists of any number of classes, and the model gives every class a probability of its own.",
    )
    model_output: Literal["probabilities", "logits"] = Field(
        "probabilities",
        description="Whether classifiers, the champion too, end in probabilities or in logits, which a sigmoid or "
        "softmax then turns into probabilities.",
    )
    output: str = Field(
        "", description="Which of a model's outputs the gates judge, by TFMA's output name; empty: the first."
    )
    classes: Annotated[
        tuple[str, ...] | str, BeforeValidator(_names_or_file, json_schema_input_type=list[str] | str)
    ] = Field(
        (),
        description="Class names in the order of the model's output, or the name of a vocabulary file, one per line: "
        "an asset of the model, a path or a URI. Empty: text labels are looked up in the schema's domain.",
    )
    example_splits: Annotated[
        tuple[str, ...], BeforeValidator(_splits), expected("names of splits other than train, such as [eval, test]")
    ] = Field((EVAL,), description="Splits whose rows are judged on, all together.")
    extractors: Annotated[str, NamesModule("custom_extractors", or_function="custom_eval_shared_model")] = Field(
        "",
        description="Module with TFX's custom_extractors or custom_eval_shared_model, by import path or file: what "
        "they give is judged, row by row. Empty: models are asked by their signature.",
    )
    metric: Metric = Field(
        "",
        description="The primary metric, by which challenger and champion are compared; one of the task's. Empty: the "
        "task's first. " + "; ".join(f"{task}: {', '.join(metrics)}" for task, metrics in METRICS.items()) + ".",
    )
    confidence: float = Field(0.95, ge=0.5, lt=1, description="Level of the two-sided intervals.")
    min_gain: float = Field(
        0.0, description="The champion must be beaten by more than this, at the interval's lower end."
    )
    if_not_significant: Literal["keep_champion", "accept"] = Field(
        "keep_champion", description="Whether a challenger that is neither better nor worse is refused or accepted."
    )
    if_champion_saw_rows: Literal["refuse", "warn"] = Field(
        "refuse",
        description="Whether a champion that may have been trained on eval rows ends in a refusal or a warning.",
    )
    min_baseline_gain: float = Field(
        0.0, description="The constant prediction must be beaten by more than this, at the interval's lower end."
    )
    slices: Names = Field(
        (),
        description="Columns on whose values the model may not lose more than max_slice_loss against the champion.",
    )
    min_slice_rows: Count = Field(500, description="Slices with fewer rows are not judged.")
    if_slice_small: Literal["skip", "judge", "refuse"] = Field(
        "skip",
        description="What a threshold bound to a smaller slice does: skip, saying so; judge all the same; refuse.",
    )
    max_slice_loss: NotNegative = Field(0.05, description="Allowed loss of the primary metric on a judged slice.")
    max_slice_gap: NotNegative | None = Field(
        None,
        description="Allowed distance of the primary metric between two values of one of the slices; null: any.",
    )
    model_card: Annotated[str, NamesText("model card", model_statement_gate.problems, suffix=".yaml")] = Field(
        "",
        description="The project's model_card.yaml: a model is refused while it says nothing of overview, owners, "
        "intended_uses or limitations. Empty: nobody asks.",
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says which gates do not fit together."""
        if self.max_slice_gap is not None and not self.slices:
            yield (
                "max_slice_gap",
                "it compares the values of slicing columns, and slices names none; expected such as slices: [origin]",
            )
        if self.task:
            yield from self._conflicts_with(self.task)

    def settled(self, task: str) -> "Gates":
        """Returns the gates with task and metric filled in.

        Raises:
            ConfigurationError: The metric is none of the task's, or a regression is said to end in logits.
        """
        if found := list(self._conflicts_with(task)):
            listed = "\n".join(f"gates.{name}: {text}" for name, text in found)
            raise ConfigurationError(f"{listed}\nfix: correct it, or set gates.task")
        return self.model_copy(update={"task": task, "metric": self.metric or METRICS[task][0]})

    def _conflicts_with(self, task: str) -> Iterator[tuple[str, str]]:
        if self.metric and self.metric not in METRICS[task]:
            allowed = ", ".join(METRICS[task])
            yield "metric", f"{self.metric} is not a metric of the task {task}: expected one of {allowed}"
        if task == REGRESSION and self.model_output == LOGITS:
            yield "model_output", "logits do not fit the task regression, whose values are what they are"


class Parameters(Settings):
    """The parameters of evaluate."""

    READS_SPLITS: ClassVar[tuple[str, ...]] = ("examples",)

    eval_config: Annotated[
        Text, NamesText("evaluation config", eval_config.problems, classes=eval_config.own_metrics, maker=_MAKER)
    ]
    gates: Gates
    beam_pipeline_args: Texts

    @classmethod
    def named_splits(cls, given: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Returns the splits that are judged on."""
        gates = given.get("gates")
        named = gates.get("example_splits") if isinstance(gates, Mapping) else None
        is_list = isinstance(named, list | tuple) and all(isinstance(name, str) for name in named)
        return (("gates", "example_splits"), tuple(named)) if named and is_list else None

    def conflicts_with_texts(self, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Says that the gates judge an output that the EvalConfig has not."""
        names = eval_config.output_names(texts.get("eval_config", ""))
        if self.gates.output and names and self.gates.output not in names:
            near = nearest(self.gates.output, names)
            listed = f"expected one of {', '.join(names)}" if any(names) else "its only output has no name"
            yield "gates.output", f"{self.eval_config} has no output {self.gates.output!r}; {near or listed}"
        if self.gates.task == MULTILABEL:
            judged = self.gates.output or next(iter(names), "")
            yield from (
                ("gates.task", f"{self.eval_config}: {each}")
                for each in multilabel_metrics.problems_of_text(texts.get("eval_config", ""), judged)
            )
        if self.gates.extractors:
            yield from (
                ("gates.extractors", f"beside {each} in {self.eval_config}, which extractors cannot serve")
                for each in eval_config.beyond_extractors(texts.get("eval_config", ""))
            )
