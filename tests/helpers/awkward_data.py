"""A CSV file as it comes: names no program likes, ids, dates, free text, marks of missing values, a leak."""

import csv
import random
from pathlib import Path

COLUMNS = {
    "Customer ID": "identity", "Signed up": "left out", "amount (€)": "number", "visits": "number",
    'segment, "x"': "category", "country": "left out", "notes": "left out", "größe": "number", "left at": "left out",
    "refund": "number", "active": "number", "Churned": "label",
}  # fmt: skip


def write(path: Path, rows: int = 1_500, leak: bool = True, **constants) -> Path:
    """Writes customers of whom some have left; `constants` replace columns."""
    draw = random.Random(1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for number in range(rows):
            amount, visits = draw.gauss(50, 20), draw.randint(0, 30)
            segment = draw.choice(["gold", "silver", "bronze", "größe 🎈"])
            left = amount / 20 + visits / 10 + 1.5 * (segment == "gold") + draw.gauss(0, 1) > 4.2
            row = {
                "Customer ID": f"C{number:06}",
                "Signed up": f"2024-{1 + number % 12:02}-{1 + number % 28:02}",
                "amount (€)": "NA" if number % 9 == 0 else f"{amount:.2f}",
                "visits": visits,
                'segment, "x"': "" if number % 13 == 0 else segment,
                "country": "NL",
                "notes": f"what customer {number} said on the phone about this and that, at length",
                "größe": draw.choice([1.5, 2.5, 1e30, "?"]),
                "left at": "2025-01-01" if left else "",
                "refund": 1 + draw.random() if left and leak else draw.random(),
                "active": draw.choice(["true", "false"]),
                "Churned": "yes" if left else "no",
            }
            writer.writerow(row | constants)
    return path
