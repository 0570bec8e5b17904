"""SavedModels that nobody should serve: a whole one, damaged by a seeded random or half copied."""

import random
import shutil
from pathlib import Path


def damage(model: Path, seed: int) -> str:
    """Damages a SavedModel in place and returns how."""
    chance = random.Random(seed)
    kind = chance.choice(("flip", "flip", "cut", "missing", "random", "empty", "swap", "link"))
    files = sorted(path for path in model.rglob("*") if path.is_file() and path.name != "fingerprint.pb")
    path = chance.choice(files)
    body = bytearray(path.read_bytes())
    if kind == "flip":
        for _ in range(chance.choice((1, 5, 50))):
            body[chance.randrange(len(body))] = chance.randrange(256)
    elif kind == "cut":
        del body[chance.randrange(len(body)) :]
    elif kind == "random":
        body = bytearray(chance.randbytes(len(body)))
    elif kind == "empty":
        body = bytearray()
    elif kind == "swap":
        body = bytearray(chance.choice(files).read_bytes())
    path.unlink()
    if kind == "link":
        path.symlink_to("/etc/hostname")
    elif kind != "missing":
        path.write_bytes(body)
    if kind == "missing" and chance.random() < 0.3:
        shutil.rmtree(model / "variables", ignore_errors=True)
    return f"{kind} {path.relative_to(model)}"
