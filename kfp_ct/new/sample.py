"""A small invented table, for a project that has no data yet."""

import csv
import random
from pathlib import Path

FILE, ROWS = "sample.csv", 2_000
# What there is to tell, by task.
LABELS = {"binary": "churned", "multiclass": "plan", "regression": "spent"}
_SPENT = {"basic": 30, "plus": 50, "pro": 70}


def write(path: Path) -> None:
    """Writes customers of whom some have left; the same rows every time."""
    draw = random.Random(0)  # noqa: S311 - invented data, not a secret
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["customer_id", "spent", "visits", "plan", "churned"])
        for number in range(ROWS):
            plan, visits = draw.choice(["basic", "plus", "pro"]), draw.randint(0, 30)
            spent = draw.gauss(_SPENT[plan], 15)
            score = spent / 20 + visits / 10 + 1.5 * (plan == "pro") + draw.gauss(0, 1)
            row = [f"C{number:05}", f"{spent:.2f}" if number % 9 else "", visits, plan, int(score < 4)]
            writer.writerow(row)
