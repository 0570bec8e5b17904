"""What can be said of infra/terraform without a cloud: the provider knows what is written, and no right is too wide.

`problems(folder)` lists what is wrong, each with its module. Held to: the schema of hashicorp/google
(provider-6.50.json, see provider_schema.py), the names of variables, outputs, resources and modules, rules of rights.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hcl2

HERE = Path(__file__).parent / "terraform"
Block = Mapping[str, Any]
REFERENCE = re.compile(r"\b(data\.)?(google_\w+)\.(\w+)(?:\[[^\]]*\])*(?:\.(\w+))?")
META = {"for_each", "count", "depends_on", "provider", "lifecycle"}
# Roles that give more than a job needs, whoever has them.
WIDE = re.compile(r"roles/(owner|editor|viewer|.*[aA]dmin)$")


@dataclass
class Module:
    """A folder of .tf files, as one."""

    folder: Path
    text: str = ""
    parts: dict[str, list[Block]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.name

    def named(self, kind: str) -> dict[str, Block]:
        """Its variables, outputs, modules, by name."""
        return {_plain(name): body for part in self.parts.get(kind, []) for name, body in part.items()}

    def resources(self) -> Iterator[tuple[str, str, str, Block]]:
        """Kind (resource or data), type, name, body."""
        for kind in ("resource", "data"):
            for part in self.parts.get(kind, []):
                for type_, named in part.items():
                    for name, body in named.items():
                        yield kind, _plain(type_), _plain(name), body


def problems(folder: Path = HERE) -> list[str]:
    """Everything that is wrong with the modules in and below `folder`."""
    schemas = json.loads((HERE / "provider-6.50.json").read_text())
    modules = {path: _read(path) for path in sorted({file.parent for file in folder.rglob("*.tf")})}
    found = []
    for module in modules.values():
        found += [f"{module.name}: {text}" for text in _of_resources(module, schemas)]
        found += [f"{module.name}: {text}" for text in _of_names(module, schemas)]
        found += [f"{module.name}: {text}" for text in _of_calls(module, modules)]
        found += [f"{module.name}: {text}" for text in _of_rights(module)]
    return found


def grants(folder: Path = HERE) -> list[tuple[str, str, str, str]]:
    """Who has which role on what, and why: rows of the table in docs/google-cloud.md."""
    rows = []
    for path in sorted({file.parent for file in folder.rglob("*.tf")}):
        for name, table in _locals(_read(path)).items():
            if name.endswith("_grants") and isinstance(table, Mapping):
                rows += [
                    (*_grant(name, _plain(key)), _plain(why)) for key, why in table.items() if key != "__is_block__"
                ]
    return sorted(rows)


def table(folder: Path = HERE) -> str:
    """The same as a table of Markdown."""
    rows = [f"| `ct-{job}` | `{role}` | {where} | {why} |" for job, role, where, why in grants(folder)]
    return "\n".join(["| service account | role | on | why |", "| --- | --- | --- | --- |", *rows])


def _read(folder: Path) -> Module:
    module = Module(folder)
    for file in sorted(folder.glob("*.tf")):
        text = file.read_text()
        module.text += text
        for kind, blocks in _parsed(text).items():
            if not kind.startswith("__"):
                module.parts.setdefault(kind, []).extend(blocks)
    return module


@functools.cache
def _parsed(text: str) -> Mapping[str, Any]:
    """A file's blocks; whoever asks for one module's problems after another's has most files parsed already."""
    return hcl2.loads(text)


def _of_resources(module: Module, schemas: Mapping[str, Mapping[str, Block]]) -> Iterator[str]:
    for kind, type_, name, body in module.resources():
        schema = schemas[kind].get(type_)
        if schema is None:
            yield f"{type_}.{name}: the schema has no such {kind}; run infra/terraform/provider_schema.py"
        else:
            yield from _of_block(f"{type_}.{name}", body, schema)


def _of_block(path: str, body: Block, schema: Block) -> Iterator[str]:
    given = {name: value for name, value in body.items() if not name.startswith("__") and name not in META}
    dynamic = [_dynamic(block) for block in given.pop("dynamic", [])]
    blocks = {name: value for name, value in given.items() if _is_blocks(value)}
    for name in given.keys() - blocks.keys() - schema["arguments"].keys():
        yield f"{path}: there is no argument {name}"
    for name, value in [*((name, item) for name, items in blocks.items() for item in items), *dynamic]:
        if name not in schema["blocks"]:
            yield f"{path}: there is no block {name}"
        else:
            yield from _of_block(f"{path}.{name}", value, schema["blocks"][name])
    for name, items in blocks.items():
        if name in schema["blocks"] and not schema["blocks"][name]["many"] and len(items) > 1:
            yield f"{path}: {name} is there {len(items)} times, and may be once"
    present = given.keys() | {name for name, _ in dynamic}
    for name, described in {**schema["arguments"], **schema["blocks"]}.items():
        if described["required"] and name not in present:
            yield f"{path}: {name} is missing"


def _dynamic(block: Block) -> tuple[str, Block]:
    (name, body), *_ = ((key, value) for key, value in block.items() if not key.startswith("__"))
    return _plain(name), body["content"][0]


def _of_names(module: Module, schemas: Mapping[str, Mapping[str, Block]]) -> Iterator[str]:
    declared = set(module.named("variable"))
    used = set(re.findall(r"\bvar\.(\w+)", module.text))
    yield from (f"var.{name} is not declared" for name in sorted(used - declared))
    yield from (f"variable {name} is used by nothing" for name in sorted(declared - used))
    values = set(_locals(module))
    yield from (
        f"local.{name} is not there" for name in sorted(set(re.findall(r"\blocal\.(\w+)", module.text)) - values)
    )
    there = {(kind == "data", type_, name) for kind, type_, name, _ in module.resources()}
    for data, type_, name, attribute in REFERENCE.findall(module.text):
        schema = schemas["data" if data else "resource"].get(type_, {})
        known = {"id", *schema.get("arguments", ()), *schema.get("blocks", ()), *schema.get("computed", ())}
        if (bool(data), type_, name) not in there:
            yield f"{data}{type_}.{name} is not there"
        elif attribute and attribute not in known:
            yield f"{data}{type_} has no attribute {attribute}"


def _of_calls(module: Module, modules: Mapping[Path, Module]) -> Iterator[str]:
    outputs = {}
    for name, body in module.named("module").items():
        called = modules.get((module.folder / _plain(body["source"])).resolve())
        if called is None:
            yield f"module {name}: there is no folder {_plain(body['source'])}"
            continue
        outputs[name] = set(called.named("output"))
        given = {key for key in body if not key.startswith("__")} - META - {"source", "version", "providers"}
        variables = called.named("variable")
        yield from (f"module {name}: there is no variable {key}" for key in sorted(given - variables.keys()))
        needed = {key for key, variable in variables.items() if "default" not in variable}
        yield from (f"module {name}: {key} is missing" for key in sorted(needed - given))
    for name, output in re.findall(r"\bmodule\.(\w+)\.(\w+)", module.text):
        if output not in outputs.get(name, ()):
            yield f"module.{name}.{output} is not there"


def _of_rights(module: Module) -> Iterator[str]:
    roles = set(re.findall(r"roles/[\w.]+", module.text))
    yield from (f"{role} is too wide" for role in sorted(roles) if WIDE.match(role))
    for name in ("allUsers", "allAuthenticatedUsers"):
        if name in module.text:
            yield f"{name} is everyone"
    for _, type_, name, body in module.resources():
        if type_.endswith(("_iam_binding", "_iam_policy")):
            yield f"{type_}.{name} takes away what others gave; use _iam_member"
        if type_ == "google_storage_bucket" and (
            body.get("uniform_bucket_level_access") is not True
            or _plain(body.get("public_access_prevention", "")) != "enforced"
        ):
            yield f"{type_}.{name} can be made public"


def _locals(module: Module) -> dict[str, Any]:
    return {name: value for part in module.parts.get("locals", []) for name, value in part.items()}


def _grant(table_name: str, key: str) -> tuple[str, str, str]:
    """Job, role and place of a row; how each table's keys are made is said where it is used."""
    parts = key.split("/")
    if table_name == "acting_grants":
        return parts[0], "roles/iam.serviceAccountUser", f"service account ct-{parts[1]}"
    if table_name == "bucket_grants":
        return parts[1], "/".join(parts[2:]), f"bucket {parts[0]}"
    places = {
        "project_grants": "the project",
        "dataset_grants": "data set ct_predictions",
        "image_grants": "the images",
        "secret_grants": "the secrets of `secrets`",
        "service_grants": "service ct-receive",
    }
    return parts[0], "/".join(parts[1:]), places[table_name]


def _is_blocks(value: object) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) and "__is_block__" in v for v in value)
    )


def _plain(text: str) -> str:
    return text[1:-1] if text.startswith('"') and text.endswith('"') else text
