"""A small invented table, for a project that has no data yet."""

import csv
import random
from pathlib import Path

FILE, LABEL, ROWS = "sample.csv", "churned", 2_000


def write(path: Path) -> None:
    """Writes customers of whom some have left; the same rows every time."""
    draw = random.Random(0)  # noqa: S311 - invented data, not a secret
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["customer_id", "spent", "visits", "plan", LABEL])
        for number in range(ROWS):
            spent, visits = draw.gauss(50, 20), draw.randint(0, 30)
            plan = draw.choice(["basic", "plus", "pro"])
            score = spent / 20 + visits / 10 + 1.5 * (plan == "pro") + draw.gauss(0, 1)
            row = [f"C{number:05}", f"{spent:.2f}" if number % 9 else "", visits, plan, int(score < 4)]
            writer.writerow(row)
