"""What the run report and the terminal say of verdicts and of tasks other than binary ones."""

import types
from pathlib import Path

import pytest
from rich.console import Console

from kfp_ct.local import terminal_view
from kfp_ct.report import decision, page, verdicts
from kfp_ct.report.content import Content
from kfp_ct.report.metrics import primary
from reporting import CLASSES, LABELS, VALUES


def compared(metric, verdict="better", ours=0.8, theirs=0.7, **more):
    refused = verdict != "better"
    return {
        "rows": 60, "label": "kind", "positive_rate": None, "compared_with": "3", "blessed": not refused,
        "metrics": {"challenger": {"example_count": 60.0}, "champion": {"example_count": 60.0}}, "slices": [],
        "comparison": {"metric": metric, "challenger": ours, "champion": theirs, "gain": 0.1, "low": 0.05, "high": 0.15,
                       "confidence": 0.95, "verdict": verdict},
        "baseline": {"metric": metric, "value": 0.4, "challenger": ours, "predicts": "the train split's mean 9.9"},
        "gates": {"metric": metric},
        "checks": [{"gate": "predictions", "passed": True, "reason": "finite"},
                   {"gate": "champion", "passed": not refused, "reason": "numbers"}],
    } | more  # fmt: skip


def content(evaluation):
    run = types.SimpleNamespace(state="SUCCEEDED", tasks=[], task=lambda name: None, summary=lambda *_: {})
    nothing = {key: {} for key in ("manifest", "statistics", "anomalies", "tuning", "training", "infra", "deployment")}
    return Content(run=run, folder=Path(), evaluation=evaluation, **nothing)


def drawn(heading, evaluation):
    return page.draw_part(page.SECTIONS[heading], content(evaluation))


def terminal(evaluation):
    console = Console(record=True, width=120)
    console.print(terminal_view._decision(content(evaluation).run, evaluation), terminal_view._metrics(evaluation))
    return console.export_text()


def test_not_significantly_better_is_said_as_such():
    evaluation = compared("auc", "not_significant")

    decided = decision.decide(content(evaluation))
    assert decided.outcome == "refused"
    assert decided.headline == "Not significantly better than v3: the champion stays"
    assert "NOT SIGNIFICANTLY BETTER: the champion stays (version 3)" in terminal(evaluation)
    assert "Not significantly better on all rows." in drawn("Against the champion", evaluation)


def test_other_refusals_are_a_refusal():
    evaluation = compared("auc", "not_significant")
    evaluation["checks"].append({"gate": "threshold", "passed": False, "reason": "too low"})

    assert decision.decide(content(evaluation)).headline == "Not blessed: 2 of 3 gates said no"
    assert not verdicts.only_not_significant(compared("auc", "worse"))
    assert verdicts.verdict(compared("auc", "worse")) == "worse"
    assert verdicts.verdict({"comparison": None}) == ""


@pytest.mark.parametrize(("metric", "title"), [("r2", "R²"), ("balanced_accuracy", "balanced accuracy")])
def test_metric_that_only_the_gates_know_is_the_primary_one(metric, title):
    found = primary(compared(metric))

    assert (found.title, found.challenger, found.champion) == (title, 0.8, 0.7)
    assert title in terminal(compared(metric))


def test_classes_are_drawn_as_a_confusion_matrix():
    evaluation = compared("accuracy", task="multiclass", curves={"challenger": {"classes": CLASSES},
                                                                 "champion": {"classes": CLASSES}})  # fmt: skip
    first, second = drawn("Curves", evaluation).split("</section>")[:2]

    assert "Confusion matrix: challenger" in first
    assert "Confusion matrix: champion v3" in second
    assert "predicted on time" in first


def test_many_classes_are_listed_the_least_recall_first():
    names = [f"class {n}" for n in range(60)]
    many = {"names": names, "rows": [10] * 60, "recall": [n / 60 for n in range(60)], "precision": [0.5] * 60,
            "matrix": None, "confusions": []}  # fmt: skip
    evaluation = compared("accuracy", task="multiclass", curves={"challenger": {"classes": many}})
    listed = drawn("Curves", evaluation)

    assert listed.index("class 0<") < listed.index("class 9<")
    assert "48 more classes" in listed


def test_several_labels_a_row_are_a_table_of_classes_the_least_auc_first():
    evaluation = compared("macro_auc", task="multilabel", curves={"challenger": {"labels": LABELS}})
    listed = drawn("Curves", evaluation)

    assert listed.index("noir") > listed.index("drama") > listed.index("comedy")
    assert "1.25 classes per row; 1.50 predicted above 0.5." in listed
    assert "0.850" in listed
    assert "macro AUC" in terminal(evaluation)


def test_values_are_drawn_against_actual_ones():
    evaluation = compared("rmse", task="regression", curves={"challenger": VALUES, "champion": VALUES})
    curves = drawn("Curves", evaluation)

    assert "Predicted and actual" in curves
    assert "Residuals" in curves
    assert "Always predicting the train split&#39;s mean 9.9 gives RMSE" in drawn("Against the champion", evaluation)
