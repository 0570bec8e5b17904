"""What `ct new` says when it is done."""

from kfp_ct.new.project import Made


def made(done: Made, name: str) -> str:
    """Says what each column was taken for, what looks wrong, and how to go on."""
    profile = done.profile
    width = max(len(column["name"]) for column in profile["columns"])
    why = f" (inferred: {profile['inferred']}; --task says otherwise)" if profile["inferred"] else ""
    lines = [f"pipelines/{name}: {profile['rows']:,} rows, label {profile['label']}, task {profile['task']}{why}"]
    lines += [f"  {each['name']:<{width}}  {each['role']:<8}  {each['why']}" for each in profile["columns"]]
    split = profile["split"]
    how = f"the latest {split['holdout']}" if split["method"] == "time" else f"{split['eval_fraction']:.0%} of the rows"
    lines += [f"held out: {how}", *(f"warning: {warning}" for warning in profile["warnings"])]
    lines += [
        f"run:      ct run {name}",
        f"test:     .venv-components/bin/python -m pytest tests/components/{name}",
    ]
    return "\n".join(lines)
