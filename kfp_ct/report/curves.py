"""What is drawn of the challenger's and the champion's predictions, by task."""

from typing import Any

from kfp_ct.pages import charts
from kfp_ct.pages.html import Html, columns, details, join, muted, percent, subsection, table
from kfp_ct.pages.sparklines import Bucket, histogram
from kfp_ct.report import words
from kfp_ct.report.content import Content

_MOST_CLASSES = 12
_ROLES = ("challenger", "champion")


def draw(content: Content) -> list[Html]:
    """What the task has: ROC and calibration with confusion matrices; classes; values against actual ones."""
    drawn = {role: found for role in _ROLES if (found := content.evaluation.get("curves", {}).get(role))}
    if not drawn:
        return []
    named = {_name(role, content.evaluation): found for role, found in drawn.items()}
    if content.evaluation.get("task") == "multiclass":
        return [_classes(name, of["classes"]) for name, of in named.items()]
    if content.evaluation.get("task") == "regression":
        return [_values(named, str(content.evaluation.get("label", "")))]
    return [_probabilities(named)]


def _probabilities(named: dict[str, dict[str, Any]]) -> Html:
    roc = {name: _points(of["roc"], "fpr", "tpr") for name, of in named.items()}
    recall = {name: _points(of["pr"], "recall", "precision") for name, of in named.items()}
    calibration = {
        name: [(bin_["prediction"], bin_["positive_rate"]) for bin_ in of["calibration"]] for name, of in named.items()
    }
    matrices = [_confusion(name, of["confusion"]) for name, of in named.items()]
    return columns(
        charts.lines(roc, "false positive rate", "true positive rate", _frame("ROC", diagonal=True)),
        charts.lines(recall, "recall", "precision", _frame("Precision and recall")),
        charts.lines(calibration, "mean prediction", "share of positives", _calibration_frame(calibration)),
        join(matrices),
    )


def _classes(name: str, of: dict[str, Any]) -> Html:
    """The confusion matrix where it can be read; else every class, the least recall first."""
    names = of["names"]
    if of.get("matrix") and len(names) <= _MOST_CLASSES:
        rows = [
            [names[n], *(_cell(count, of["rows"][n]) for count in row), of["rows"][n], words.metric(of["recall"][n], 3)]
            for n, row in enumerate(of["matrix"])
        ]
        rows.append(["precision", *(words.metric(share, 3) for share in of["precision"]), None, None])
        headers = ["actual", *(f"predicted {other}" for other in names), "rows", "recall"]
        return subsection(f"Confusion matrix: {name}", table(headers, rows))
    worst = sorted(range(len(names)), key=lambda n: (of["recall"][n] is None, of["recall"][n] or 0.0))
    rows = [
        [names[n], of["rows"][n], words.metric(of["recall"][n], 3), words.metric(of["precision"][n], 3)] for n in worst
    ]
    headers, first = ["class", "rows", "recall", "precision"], rows[:_MOST_CLASSES]
    more = rows[_MOST_CLASSES:]
    folded = [details(f"{len(more):,} more classes", table(headers, more))] if more else []
    return subsection(f"Classes: {name}, the least recall first", table(headers, first), *folded)


def _values(named: dict[str, dict[str, Any]], label: str) -> Html:
    series = {name: [(bin_["predicted"], bin_["actual"]) for bin_ in of["values"]] for name, of in named.items()}
    every = [value for points in series.values() for point in points for value in point]
    limits = (min(every), max(every)) if every and max(every) > min(every) else None
    square = charts.Frame("Predicted and actual", limits, limits, diagonal=True, markers=True, width=500, height=360)
    rows = []
    for name, of in named.items():
        buckets = [Bucket(bin_["low"], bin_["high"], bin_["rows"]) for bin_ in of["residuals"]["buckets"]]
        rows.append([name, histogram({name: buckets}, f"residuals of the {name}"), of["residuals"]["mean"]])
    return columns(
        charts.lines(series, f"mean predicted {label}", f"mean actual {label}", square),
        subsection("Residuals: actual minus predicted", table(["model", "middle 99 %", "mean"], rows)),
    )


def _name(role: str, evaluation: dict[str, Any]) -> str:
    version = evaluation.get("compared_with", "")
    return f"champion {words.version(version)}" if role == "champion" and version != "champion" else role


def _points(of: dict[str, Any], x: str, y: str) -> list[tuple[float, float]]:
    return list(zip(of[x], of[y], strict=True))


def _frame(title: str, diagonal: bool = False) -> charts.Frame:
    return charts.Frame(title, (0, 1), (0, 1), diagonal=diagonal, width=500, height=360)


def _calibration_frame(series: dict[str, list[tuple[float, float]]]) -> charts.Frame:
    """One range on both axes, as far as the predictions reach, so that the diagonal is perfection."""
    most = max((value for points in series.values() for point in points for value in point), default=1.0)
    limits = (0.0, min(1.0, -(-most * 10 // 1) / 10))
    return charts.Frame("Calibration", limits, limits, diagonal=True, markers=True, width=500, height=360)


def _confusion(name: str, counts: dict[str, Any]) -> Html:
    positives, negatives = counts["tp"] + counts["fn"], counts["tn"] + counts["fp"]
    rows = [
        ["positive", _cell(counts["tp"], positives), _cell(counts["fn"], positives), positives],
        ["negative", _cell(counts["fp"], negatives), _cell(counts["tn"], negatives), negatives],
    ]
    title = f"Confusion matrix at {counts['threshold']:g}: {name}"
    return subsection(title, table(["actual", "predicted positive", "predicted negative", "rows"], rows))


def _cell(count: int, of: int) -> Html:
    share = count / of if of else 0.0
    return Html(f'<span class="heat" style="--share:{share:.3f}">{count:,} {muted(percent(share))}</span>')
