"""Writes what Google's Terraform provider says of what is used here: python infra/terraform/provider_schema.py WHEEL.

The provider itself is a program that Terraform fetches from its registry. Its schema is on PyPI too, as Python:
`cdktf-cdktf-provider-google` (here 16.12.1, made by HashiCorp from hashicorp/google 6.50.0; no later one will come).
Its classes are read as text, since importing them takes Node. A block's nested blocks are the types it names.

The file that is written, provider-6.50.json, is what tests hold the modules to: for each resource and data source its
arguments (required, type), its blocks (required, many), and the attributes that Google fills in.
"""

import ast
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGE = "cdktf_cdktf_provider_google"
USED = re.compile(r'^(resource|data) "google_(\w+)"', re.MULTILINE)
# Of every resource, by Terraform itself.
META = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners"}
TYPES = {"builtins.str": "string", "jsii.Number": "number", "builtins.bool": "bool"}
Schema = dict[str, Any]


def main() -> None:
    """Writes the file anew."""
    wheel = zipfile.ZipFile(sys.argv[1])
    schemas: dict[str, dict[str, Schema]] = {"resource": {}, "data": {}}
    for kind, name in sorted(used()):
        module = name if kind == "resource" else f"data_google_{name}"
        text = wheel.read(f"{PACKAGE}/{module}/__init__.py").decode()
        schemas[kind][f"google_{name}"] = schema_of(text, "".join(part.title() for part in module.split("_")))
    (HERE / "provider-6.50.json").write_text(json.dumps(schemas, indent=1, sort_keys=True) + "\n")


def used() -> set[tuple[str, str]]:
    """Kind and name, without google_, of what the modules name."""
    return {pair for path in HERE.rglob("*.tf") for pair in USED.findall(path.read_text())}


def schema_of(text: str, name: str) -> Schema:
    """The schema of the resource that the class `name` stands for."""
    classes = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    schema = _block(classes, f"{name}Config")
    given = {*schema["arguments"], *schema["blocks"]}
    schema["computed"] = sorted(_outputs(classes[name]) - given)
    return schema


def _block(classes: dict[str, ast.ClassDef], name: str) -> Schema:
    arguments, blocks = {}, {}
    for argument, annotation, required in _parameters(classes[name]):
        if argument in META:
            continue
        nested = next((part for part in re.findall(r"\w+", annotation) if part in classes), None)
        if nested:
            many = "typing.Sequence" in annotation
            blocks[argument] = {"required": required, "many": many, **_block(classes, nested)}
        else:
            arguments[argument] = {"required": required, "type": _type(annotation)}
    return {"arguments": arguments, "blocks": blocks}


def _parameters(node: ast.ClassDef) -> list[tuple[str, str, bool]]:
    init = next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
    pairs = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return [(a.arg.rstrip("_"), ast.unparse(a.annotation), default is None) for a, default in pairs if a.annotation]


def _type(annotation: str) -> Any:
    inner = re.sub(r"^typing\.Optional\[(.*)\]$", r"\1", annotation)
    inner = re.sub(r"^typing\.Union\[(.*?), .*IResolvable\]$", r"\1", inner)
    for prefix, kind in (("typing.Sequence[", "list"), ("typing.Mapping[builtins.str, ", "map")):
        if inner.startswith(prefix):
            return [kind, _type(inner.removeprefix(prefix).removesuffix("]"))]
    return TYPES.get(inner, "string")


def _outputs(node: ast.ClassDef) -> set[str]:
    """Attributes that can be read; those ending in _input are CDK's own."""
    names = {item.name for item in node.body if isinstance(item, ast.FunctionDef) and _is_attribute(item)}
    return {name for name in names if not name.endswith("_input")}


def _is_attribute(item: ast.FunctionDef) -> bool:
    returns = ast.unparse(item.returns) if item.returns else ""
    marked = any(ast.unparse(decorator) == "builtins.property" for decorator in item.decorator_list)
    return marked and returns in {*TYPES, "_cdktf_9a9027ec.IResolvable"}


if __name__ == "__main__":
    main()
