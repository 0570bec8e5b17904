"""Which substitutions a build uses, whether they are declared, and what they are worth."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.ci.cloudbuild import expansion
from kfp_ct.ci.cloudbuild.document import Document, Path, dotted
from kfp_ct.ci.cloudbuild.problems import Findings

USER_KEY = re.compile(r"_[A-Z0-9_]+")
# What Cloud Build gives to every build, and what triggers add.
BUILT_IN = frozenset([
    "PROJECT_ID", "PROJECT_NUMBER", "BUILD_ID", "LOCATION", "SERVICE_ACCOUNT", "SERVICE_ACCOUNT_EMAIL",
    "TRIGGER_NAME", "TRIGGER_BUILD_CONFIG_PATH", "COMMIT_SHA", "REVISION_ID", "SHORT_SHA",
    "REPO_NAME", "REPO_FULL_NAME", "BRANCH_NAME", "TAG_NAME", "REF_NAME",
])  # fmt: skip
# Ways of starting a build that read a configuration as it stands; triggers are looser.
MANUAL = "`gcloud builds submit` and the API"
# What pull-request triggers give; they look like the user's own.
_PULL_REQUEST = frozenset(("_HEAD_BRANCH", "_BASE_BRANCH", "_HEAD_REPO_URL", "_PR_NUMBER"))
_SUBSTITUTED = ("name", "args", "env", "dir", "entrypoint")
_SUBSTITUTED_BUILD = ("images", "tags", "artifacts", "options", "availableSecrets", "logsBucket", "serviceAccount")


def check(document: Document, findings: Findings) -> None:
    """Examines every use of a substitution in a configuration.

    A name of the user's own that is not declared may come from a trigger or the command line: that is only
    worth knowing, unless a declared one that nobody uses looks like it.
    """
    declared, options = document.tree.get("substitutions", {}), document.tree.get("options", {})
    used: set[str] = set()
    unknown: list[tuple[int, str, Path]] = []
    plain: set[str] = set()
    operated: list[tuple[int, str, Path]] = []
    for path, text in texts(document.tree):
        # Bash's operators are read where that is switched on, and always if a trigger starts the build.
        always = set(expansion.keys(text, plain=not options.get("dynamicSubstitutions")))
        dynamic = options.get("dynamicSubstitutions")
        unread = {each.key for each in expansion.references(text) if each.operator and not dynamic}
        for key in dict.fromkeys(expansion.keys(text)):
            used.add(key)
            line = document.line_using(key, *path)
            if key in always:
                plain.add(key)
            if key in unread and USER_KEY.fullmatch(key):
                operated.append((line, key, path))
            if key in declared or key in BUILT_IN or key in _PULL_REQUEST:
                continue
            if key in always or USER_KEY.fullmatch(key):
                unknown.append((line, key, path))
            else:
                what = f"{dotted(path)} uses ${{{key}…}}, which a trigger takes for a substitution and refuses"
                findings.warning(line, f"{what}\nfix: write $${{{key}…}} if the shell is to see it", by="a trigger")
    for key, value in declared.items():
        line = document.line("substitutions", key)
        used |= {each for each in expansion.keys(value) if each != key}
        if not USER_KEY.fullmatch(key):
            wanted = f"_{key.strip('_').upper()}"
            findings.error(line, f"substitutions.{key} cannot be declared\nexpected: a name such as {wanted}")
    unused = [] if _maps_all(document.tree) else [key for key in declared if key not in used]
    loose = options.get("substitutionOption") == "ALLOW_LOOSE"
    for line, key, path in unknown:
        _unknown(line, key, path, [] if loose else unused, findings)
    for key in unused:
        by = "" if loose else MANUAL
        findings.warning(document.line("substitutions", key), f"the substitution {key} is used nowhere", by)
    for line, key, path in operated:
        refused = key in declared and key not in plain and not loose and not _maps_all(document.tree)
        _operated(line, key, path, refused, findings)


def texts(tree: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yields every text of a configuration in which Cloud Build replaces substitutions, with its path."""
    for index, step in enumerate(tree.get("steps", [])):
        for name in _SUBSTITUTED:
            yield from _strings(step.get(name), ("steps", index, name))
    for name in _SUBSTITUTED_BUILD:
        yield from _strings(tree.get(name), (name,))


def resolve(tree: dict[str, Any], given: Mapping[str, str], built_in: Mapping[str, str]) -> dict[str, str]:
    """Returns the value of every substitution; those of the user may refer to others where that is switched on.

    Raises:
        ExpansionError: A value cannot be expanded, or values refer to each other in a circle.
    """
    own = {**tree.get("substitutions", {}), **given}
    if not tree.get("options", {}).get("dynamicSubstitutions"):
        return {**built_in, **own}
    done: dict[str, str] = dict(built_in)
    for key in own:
        _settle(key, own, done, ())
    return done


def substitute(tree: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Returns a configuration with its substitutions replaced."""
    steps = [
        {**step, **{name: _replaced(step[name], values) for name in _SUBSTITUTED if name in step}}
        for step in tree.get("steps", [])
    ]
    return {
        **tree,
        "steps": steps,
        **{name: _replaced(tree[name], values) for name in _SUBSTITUTED_BUILD if name in tree},
    }


def _settle(key: str, own: Mapping[str, str], done: dict[str, str], before: tuple[str, ...]) -> None:
    if key in done and key not in own:
        return
    if key in before:
        circle = " → ".join([*before[before.index(key) :], key])
        raise expansion.ExpansionError(f"the substitutions refer to each other in a circle: {circle}")
    for other in expansion.keys(own[key]):
        if other in own and other not in done:
            _settle(other, own, done, (*before, key))
    done[key] = expansion.expand(own[key], done)


def _operated(line: int, key: str, path: Path, refused: bool, findings: Findings) -> None:
    """Says what each way of starting a build does with bash's operators where they are not switched on."""
    what = f"{dotted(path)} uses ${{{key}…}} with an operator of bash's, which a trigger expands, as `ct build` does"
    rest = (
        f"refuse the build: without dynamicSubstitutions they do not read it, so that {key} is declared and unused"
        if refused
        else "leave it as it stands, for the shell: without dynamicSubstitutions they do not read it"
    )
    fix = "fix: set options.dynamicSubstitutions: true"
    findings.warning(line, f"{what}\n{MANUAL} {rest}\n{fix}", by=MANUAL if refused else "")


def _unknown(line: int, key: str, path: Path, unused: list[str], findings: Findings) -> None:
    if not USER_KEY.fullmatch(key):
        close = difflib.get_close_matches(key, BUILT_IN, n=1, cutoff=0.75)
        meant = (
            f"did you mean ${close[0]}?"
            if close
            else f"a built-in substitution or a declared one such as _{key.strip('_') or 'NAME'}"
        )
        findings.error(
            line,
            f"{dotted(path)} uses ${key}, which Cloud Build does not have\n"
            f"expected: {meant}\n"
            f"fix: write $${key} if the shell is to see it",
        )
    elif close := [each for each in unused if _misspelt(key, each)]:
        findings.error(line, f"{dotted(path)} uses ${key}, which is not declared\nexpected: did you mean ${close[0]}?")
    else:
        findings.warning(line, f"{dotted(path)} uses ${key}, which a trigger or --substitutions must give")


def _misspelt(key: str, declared: str) -> bool:
    """Whether two names differ by a slip of the finger, rather than being two names that are both meant."""
    if key.replace("_", "") == declared.replace("_", ""):
        return True
    words, others = key.split("_"), declared.split("_")
    if len(words) != len(others):
        return False
    for word, other in zip(words, others, strict=True):
        if word == other:
            continue
        if min(len(word), len(other)) < 3 or re.sub(r"\d", "", word) == re.sub(r"\d", "", other):
            return False  # _ZONE_A and _ZONE_B, _TAG1 and _TAG2
        blocks = difflib.SequenceMatcher(None, word, other, autojunk=False).get_matching_blocks()
        if max(len(word), len(other)) - sum(block.size for block in blocks) > 2:
            return False
    return True


def _maps_all(tree: dict[str, Any]) -> bool:
    """Whether scripts see every substitution as an environment variable, so that none is unused for certain."""
    return bool(tree.get("options", {}).get("automapSubstitutions")) or any(
        step.get("automapSubstitutions") for step in tree.get("steps", [])
    )


def _strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, (*path, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(item, (*path, name))


def _replaced(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return expansion.expand(value, values)
    if isinstance(value, list):
        return [_replaced(item, values) for item in value]
    if isinstance(value, dict):
        return {name: _replaced(item, values) for name, item in value.items()}
    return value
