"""Why steps ran instead of being answered from the cache."""

from typing import Any

from kfp_ct.report.content import Content

# What every first run says of every step.
_NO_NEWS = {"first_run", "never", "no_inputs"}


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/cache.html` shows; nothing where no step could have been answered from the cache."""
    ran = [each for each in content.cache if each.ran]
    if all(reason.kind in _NO_NEWS for each in ran for reason in each.reasons):
        return {}
    return {"steps": ran, "run": content.run.id}


def machine(content: Content) -> dict[str, Any]:
    """Returns the same for programs: by step the run that it was compared with, and the reasons."""
    return {
        each.step: {
            "compared_with": each.compared_with,
            "reasons": [{"kind": one.kind, "name": one.name, "text": one.text} for one in each.reasons],
        }
        for each in content.cache
        if each.ran
    }
