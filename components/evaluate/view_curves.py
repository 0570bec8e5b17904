"""The drawings of an evaluation's page, by task."""

import dataclasses
from typing import Any

from kfp_ct.pages import charts, html, sparklines

_MOST_CLASSES = 12


def draw(account: dict[str, Any], roles: dict[str, str]) -> list[html.Html]:
    """Returns the curves of a binary model, the confusion matrices of classes, or values against actual ones.

    Args:
        account: The content of summary.json.
        roles: Role → what it is called.
    """
    drawn = {said: account["curves"][role] for role, said in roles.items() if role in account["curves"]}
    if account["task"] == "multiclass":
        return [_classes(said, of["classes"]) for said, of in drawn.items()]
    if account["task"] == "regression":
        return _values(drawn, account["label"])
    return _probabilities(drawn)


def _probabilities(drawn: dict[str, Any]) -> list[html.Html]:
    roc = {said: _points(of["roc"], "fpr", "tpr") for said, of in drawn.items()}
    recall = {said: _points(of["pr"], "recall", "precision") for said, of in drawn.items()}
    calibration = {
        said: [(b["prediction"], b["positive_rate"]) for b in of["calibration"]] for said, of in drawn.items()
    }
    most = max(value for points in calibration.values() for point in points for value in point)
    unit = dataclasses.replace(charts.UNIT_SQUARE, title="ROC")
    plain = dataclasses.replace(charts.UNIT_SQUARE, title="Precision and recall", diagonal=False)
    limits = (0.0, most)
    square = dataclasses.replace(unit, title="Calibration", x_limits=limits, y_limits=limits, markers=True)
    return [
        html.columns(
            charts.lines(roc, "false positive rate", "true positive rate", unit),
            charts.lines(recall, "recall", "precision", plain),
            charts.lines(calibration, "mean prediction", "share of positives", square),
            html.table(
                ["at 0.5", "true positive", "false positive", "false negative", "true negative"],
                [[said, *(of["confusion"][kind] for kind in ("tp", "fp", "fn", "tn"))] for said, of in drawn.items()],
            ),
        )
    ]


def _classes(said: str, of: dict[str, Any]) -> html.Html:
    """The confusion matrix where it can be read, else the most frequent confusions; recall and precision by class."""
    names = of["names"]
    if of["matrix"] and len(names) <= _MOST_CLASSES:
        rows = [
            [names[n], *(_cell(count, of["rows"][n]) for count in row), of["rows"][n], of["recall"][n]]
            for n, row in enumerate(of["matrix"])
        ]
        rows.append(["precision", *of["precision"], None, None])
        headers = ["actual", *(f"predicted {name}" for name in names), "rows", "recall"]
        return html.subsection(f"Confusion matrix: {said}", html.table(headers, rows))
    worst = sorted(range(len(names)), key=lambda n: (of["recall"][n] is None, of["recall"][n] or 0.0))
    by_class = [[names[n], of["rows"][n], of["recall"][n], of["precision"][n]] for n in worst]
    headers = ["class", "rows", "recall", "precision"]
    parts = [html.table(headers, by_class[:_MOST_CLASSES], caption="least recall first")]
    if by_class[_MOST_CLASSES:]:
        parts.append(
            html.details(f"{len(names) - _MOST_CLASSES:,} more classes", html.table(headers, by_class[_MOST_CLASSES:]))
        )
    confused = [[f"{item['actual']} as {item['predicted']}", item["rows"]] for item in of["confusions"]]
    most = html.table(["taken for another", "rows"], confused, caption="most frequent confusions")
    return html.subsection(f"Classes: {said}", html.columns(html.join(parts), most))


def _values(drawn: dict[str, Any], label: str) -> list[html.Html]:
    first = next(iter(drawn.values()))["values"]
    series = {said: [(b["predicted"], b["actual"]) for b in of["values"]] for said, of in drawn.items()}
    low, high = (
        end([value for points in series.values() for point in points for value in point]) for end in (min, max)
    )
    limits = (low, high) if high > low else None
    square = dataclasses.replace(
        charts.UNIT_SQUARE, title="Predicted and actual", x_limits=limits, y_limits=limits, markers=True
    )
    spread = {
        "90 % below": [(b["predicted"], b["high"]) for b in first],
        "mean": [(b["predicted"], b["actual"]) for b in first],
        "10 % below": [(b["predicted"], b["low"]) for b in first],
    }
    wide = dataclasses.replace(
        charts.UNIT_SQUARE,
        title="Spread of the actual values, challenger",
        x_limits=None,
        y_limits=None,
        diagonal=False,
    )
    return [
        html.columns(
            charts.lines(series, f"mean predicted {label}", f"mean actual {label}", square),
            charts.lines(spread, f"mean predicted {label}", f"actual {label}", wide),
        ),
        html.subsection("Residuals: actual minus predicted", _residuals(drawn)),
    ]


def _residuals(drawn: dict[str, Any]) -> html.Html:
    rows = []
    for said, of in drawn.items():
        found = of["residuals"]
        buckets = [sparklines.Bucket(b["low"], b["high"], b["rows"]) for b in found["buckets"]]
        shape = sparklines.histogram({said: buckets}, f"residuals of the {said}", size=(320, 70))
        rows.append([said, shape, found["mean"], *found["quantiles"].values()])
    quantiles = list(next(iter(drawn.values()))["residuals"]["quantiles"])
    return html.table(["model", "middle 99 %", "mean", *quantiles], rows)


def _cell(count: int, of: int) -> html.Html:
    share = count / of if of else 0.0
    return html.join([html.number(count), " ", html.muted(html.percent(share))])


def _points(of: dict[str, list[float]], x: str, y: str) -> list[tuple[float, float]]:
    return list(zip(of[x], of[y], strict=True))
