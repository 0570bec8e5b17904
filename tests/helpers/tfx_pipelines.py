"""TFX's own pipelines as they were inspected, with the files that they name put into a folder."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

MATERIAL = Path(__file__).parents[1] / "material"
PIPELINES = MATERIAL / "tfx_pipelines"
EXAMPLES = MATERIAL / "tfx_examples"
# Folder below HOME to the modules that a pipeline expects there.
_MODULES = {
    "taxi": "chicago_taxi_pipeline/*.py",
    "penguin": "penguin/*.py",
    "imdb": "imdb/*.py",
    "mnist": "mnist/*.py",
}


def home(folder: Path) -> Path:
    """Makes a home with the modules of TFX's examples where their pipelines look for them."""
    for name, pattern in _MODULES.items():
        (folder / name).mkdir(parents=True)
        for file in EXAMPLES.glob(pattern):
            shutil.copy(file, folder / name)
    return folder


def inspected(name: str, folder: Path, edit: Callable[[dict], None] = lambda found: None) -> str:
    """Returns what was inspected of a pipeline, in a home of the test's own.

    Args:
        name: The pipeline's file without its ending.
        folder: The home.
        edit: Changes it.
    """
    text = (PIPELINES / "inspected" / f"{name}.json").read_text().replace("/home/me", str(folder))
    found = json.loads(text)
    edit(found)
    return json.dumps(found)


def component(found: dict, wanted: str) -> dict:
    """Returns a component of what was inspected."""
    return next(each for each in found["components"] if each["id"] == wanted)


def taxi_rows(path: Path, rows: int = 600) -> str:
    """Trips as TFX's taxi data has them; who pays by card tips."""
    chance = random.Random(1)
    lines = [
        "pickup_community_area,fare,trip_start_month,trip_start_hour,trip_start_day,trip_start_timestamp,"
        "pickup_latitude,pickup_longitude,dropoff_latitude,dropoff_longitude,trip_miles,pickup_census_tract,"
        "dropoff_census_tract,payment_type,company,trip_seconds,dropoff_community_area,tips"
    ]
    for number in range(rows):
        card, fare = chance.random() < 0.5, 4 + 20 * chance.random()
        area = "" if chance.random() < 0.1 else str(chance.randrange(1, 78))
        company = "" if chance.random() < 0.3 else chance.choice(["3385 - Eman Cab", "5129 - 87128"])
        lines.append(
            f"{chance.randrange(1, 78)},{fare:.2f},{chance.randrange(1, 13)},{chance.randrange(24)},"
            f"{chance.randrange(1, 8)},{1_400_000_000 + 900 * number},{41.8 + chance.random() / 5:.6f},"
            f"{-87.7 + chance.random() / 5:.6f},{41.8 + chance.random() / 5:.6f},{-87.7 + chance.random() / 5:.6f},"
            f"{fare / 3:.1f},,{17031280100 + number % 9},{'Credit Card' if card else 'Cash'},{company},"
            f"{int(60 * fare)},{area},{0.3 * fare if card else 0:.2f}"
        )
    path.write_text("\n".join(lines) + "\n")
    return str(path)
