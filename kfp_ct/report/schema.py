"""What the curated schema says otherwise than the data."""

from typing import Any

from kfp_ct.report.content import Content


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/schema.html` shows: the differences; nothing where the schema was inferred."""
    if "difference" not in content.schema:
        return {}
    return {
        "difference": content.schema["difference"],
        "schema_file": content.schema["schema_file"],
        "features": len(content.schema["features"]),
    }
