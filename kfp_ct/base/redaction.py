"""Takes secrets out of text that leaves: terminals, logs, records, reports, pages, answers, messages.

What is taken out: passwords in URIs, tokens of known forms, values that stand beside a name such as `password=`, and
the values of environment variables that are named as secrets or that a setting refers to (`kfp_ct/base/secrets.py`).
It is the second line: settings and requests that hold a secret in the clear are refused before anything is written.
"""

import functools
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO, cast
from urllib.parse import quote, unquote

HIDDEN = "***"
# Shorter values are words that stand in other places, too.
_SHORTEST = 8
_SHORTEST_REFERRED = 6
# Characters of a text that what it becomes is kept of.
_LONGEST_REMEMBERED = 500
_PATHS = ("/", "./", "~")
_WORDS = (
    r"(?:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|secret[_-]?key|account[_-]?key"
    r"|private[_-]?key|shared[_-]?access[_-]?signature|x-(?:amz|goog)-(?:signature|credential))"
)
_NAME = re.compile(rf"(?:^|[\W_]|(?<=[a-z]))(?:{_WORDS}|(?P<token>token|bearer|sas|pass))(?:[_-]?id)?$", re.IGNORECASE)
_WORDS_ONLY = re.compile(r"[A-Za-z]+(?:[._-][A-Za-z]+)*")
_VARIABLE = re.compile(r"(?:^|_)(?:KEY|AUTH|COOKIE|CREDENTIALS)$", re.IGNORECASE)
_NOT_A_VALUE = r"(?!\$\{|\*{3}|\$\(|%s|\{)"
# In machine learning a token is a word, too: `oov_token: "<unknown>"`.
_MIXED = r"(?=[\w.+/=-]{8})(?=[A-Za-z_.+/=-]{0,200}\d)[\w.+/=-]+"
_PAIR = re.compile(
    rf"((?:{_WORDS}|(?P<token>(?<!page_)token))[\"']?\s{{0,2}}"
    rf"(?:=\s{{0,2}}[\"']?|:\s{{0,2}}[\"']|:\s{{0,2}}(?=[^\s\"',;&]{{0,99}}\d))){_NOT_A_VALUE}"
    rf"(?!(?:none|null|true|false)\b)(?(token){_MIXED}|[^\s\"',;&]{{4,}})",
    re.IGNORECASE,
)
_URI = re.compile(
    rf"(://[^\s/?#:@'\"<>\[]{{0,64}}:)(?!\d{{1,5}}(?:[/?#]|$)){_NOT_A_VALUE}"
    r"([^\s/?#'\"<>]{1,256}|[^\s'\"<>]{1,64}?)(?=@)"
)
# A token where a user's name is expected, as pip, git and others take it: `https://TOKEN@host`.
_USER = re.compile(r"(://)(?=[A-Za-z]{0,200}\d)(?=\d{0,200}[A-Za-z])([A-Za-z0-9]{20,256})(?=@|:[^\s/?#:@'\"<>]{0,64}@)")
_QUERY = re.compile(
    r"([?&](?:key|sig|auth|sas)=)(?=[\w.%+/=~-]{12})(?=[A-Za-z_.%+/=~-]{0,200}\d)([\w.%+/=~-]+)", re.IGNORECASE
)
_HOOK = re.compile(
    r"(\bhooks\.slack\.com/\w{1,20}/|\bdiscord(?:app)?\.com/api/webhooks/|\.webhook\.office\.com/)([^\s'\"<>*][^\s'\"<>]{7,})"
)
_HEADER = re.compile(
    r"((?:Authorization[\"']?\s*[:=]\s*[\"']?(?:Bearer |Basic |[Tt]oken |ApiKey )?|\bBearer ))([\w.~+/=-]{12,})"
)
_COOKIE = re.compile(r"(\b(?:set-)?cookie: )(?=[^\s=]{1,64}=)([^\s*][^\r\n\"']{7,})", re.IGNORECASE)
# Of commands: `--password X`, `-u user:X`.
_FLAG = re.compile(
    r"(--(?:[\w-]{1,40}-)?(?:password|passwd|passphrase|token|secret|(?:api|access)-?key) )(?=\S{0,99}\d)"
    r"([^\s\"'*$-][^\s\"']{5,})"
)
_USER_FLAG = re.compile(r"((?<!\S)(?:-u|--user)[ =][^\s:/]{1,64}:)(?!\d{1,9}(?!\S))([^\s\"'*$][^\s\"']{3,})")
# `mysql -u root -pX`, `sshpass -p X`; of other commands what looks like a password only: `ssh -p2222`, `mkdir -p X`.
_GLUED_FLAG = re.compile(
    r"((?<![\w/-])(?:mysql(?:dump|admin|import|check|show|sh)?|mariadb(?:-[a-z]{2,12})?)(?=\s)(?:\s{1,4}[^\s|;&]{1,200}){0,20}?"
    r"\s-p[\"']?|\bsshpass\s-p\s?[\"']?"
    r"|(?<!\S)-p[\"']?(?=[^\s\"'/.:=]{8})(?=[^\sA-Z]{0,99}[A-Z])(?=[^\sa-z]{0,99}[a-z])(?=[^\s\d]{0,99}\d)(?![^\s]{0,99}[/.:=]))"
    r"([^\s\"'*$][^\s\"']{2,})"
)
# A file of credentials is none.
_CREDENTIALS = re.compile(
    rf"((?<![A-Za-z])credentials?[\"']?\s{{0,2}}(?:=\s{{0,2}}[\"']?|:\s{{0,2}}[\"'])){_NOT_A_VALUE}"
    rf"(?![/.~]|[\w.+/=-]{{1,200}}\.(?:json|ya?ml|pem|p12|cfg|ini)\b)({_MIXED})",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA)[A-Z0-9]{16}\b|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}|xox[abprs]-[\w-]{10,}|sk-[\w-]{20,}|[sr]k_(?:live|test)_\w{16,}|hf_[A-Za-z0-9]{20,}|pypi-[\w-]{16,}"
    r"|npm_[A-Za-z0-9]{30,}|glsa_\w{20,}|gldt-[\w-]{16,}|dop_v1_[a-f0-9]{64}|hvs\.[\w-]{20,}|dapi[0-9a-f]{32}"
    r"|SG\.[\w-]{16,99}\.[\w-]{16,}"
    r"|eyJ[\w-]{10,999}\.eyJ[\w-]{5,9999}\.[\w-]+)"
)
# One of them stands in whatever _PAIR finds, capitals folded. To look for them takes a fiftieth of the time.
_IN_EVERY_PAIR = ("pass", "pwd", "secret", "key", "token", "access", "x-amz-", "x-goog-")
# What stands in whatever a form finds.
_IN_EVERY_FORM = (
    (_HEADER, ("Authorization", "Bearer ")),
    (_COOKIE, (": ",)),
    (_FLAG, ("--",)),
    (_USER_FLAG, ("-u",)),
    (_GLUED_FLAG, ("-p",)),
    (_CREDENTIALS, ("redential", "REDENTIAL")),
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)


def redact(text: str) -> str:
    """Returns a text without the secrets in it."""
    for value, name in sorted(_values().items(), key=lambda item: -len(item[0])):
        text = text.replace(value, name)
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _without_pairs(text)


def redact_tree(value: Any) -> Any:
    """Returns a value of JSON without the secrets in its texts, and without those that their names say are secret."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: HIDDEN if is_secret(key, each) else redact_tree(each) for key, each in value.items()}
    return [redact_tree(each) for each in value] if isinstance(value, list | tuple) else value


def is_secret(name: Any, value: Any) -> bool:
    """Whether a value is a secret by its name: `password`, `api_key`.

    A reference, a path and an address are none, nor is what itself names a secret: `secret_key: MINIO_SECRET_KEY`.
    """
    named = _NAME.search(name) if isinstance(name, str) and isinstance(value, str) else None
    if not named or not _could_be(value):
        return False
    if named["token"]:
        return bool(re.fullmatch(_MIXED, value))
    if "pass" not in named[0].lower() and _WORDS_ONLY.fullmatch(value) and _NAME.search(value):
        return False
    return len(value) >= _SHORTEST or "pass" in named[0].lower()


def holds_secret(text: str) -> bool:
    """Whether a text holds a secret in the clear."""
    pairs = text if re.search(r"\s", text) else _sub_pairs(HIDDEN, text)  # `token = 'x'` in SQL compares columns
    return _without_forms(pairs) != text or any(value in text for value in _values())


def remember(name: str, value: str) -> None:
    """Keeps the value of an environment variable, and the password in it, out of what is written from now on.

    A path stays: records and links name files by it.
    """
    if not value.startswith(_PATHS):
        _add(_values(), name, value, _SHORTEST_REFERRED)


class RedactedStream:
    """A text stream that writes to another one without secrets."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text; returns its length, as if it had been written as it is."""
        self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redacted(stream: TextIO) -> TextIO:
    """Returns a stream that writes to another one without secrets."""
    return stream if isinstance(stream, RedactedStream) else cast(TextIO, RedactedStream(stream))


def guard_streams() -> None:
    """Keeps secrets out of everything that this process prints from now on, tracebacks among it."""
    _values.cache_clear()
    sys.stdout, sys.stderr = redacted(sys.stdout), redacted(sys.stderr)


@functools.lru_cache(maxsize=4096)
def _remembered(text: str) -> str:
    """A run's record is written some thirty times, with the same texts in it."""
    return _without_pairs(text)


def _without_pairs(text: str) -> str:
    # Before pairs, of which one would take the first word of `"private_key": "-----BEGIN PRIVATE KEY-----…`.
    return _without_forms(_sub_pairs(rf"\1{HIDDEN}", _without_keys(text)))


def _sub_pairs(by: str, text: str) -> str:
    if not ("=" in text or ":" in text):
        return text
    folded = text.casefold()
    return _PAIR.sub(by, text) if any(part in folded for part in _IN_EVERY_PAIR) else text


def _without_keys(text: str) -> str:
    return _PEM.sub(HIDDEN, text) if "-----BEGIN" in text else text


def _without_forms(text: str) -> str:
    text = _without_keys(text)
    if "://" in text:
        for form in (_URI, _USER, _QUERY, _HOOK):
            text = form.sub(rf"\1{HIDDEN}", text)
    for form, parts in _IN_EVERY_FORM:
        if any(part in text for part in parts):
            text = form.sub(rf"\1{HIDDEN}", text)
    return _TOKEN.sub(HIDDEN, text)


@functools.cache
def _values() -> dict[str, str]:
    """Returns the values that are kept out, and what stands for each; from this process's environment at first."""
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        named = _NAME.search(name) or (_VARIABLE.search(name) and re.search(r"\d", value))  # CACHE_KEY=flights is none
        if named and _could_be(value):
            _add(found, name, value, _SHORTEST)
        elif "://" in value:
            _add_passwords(found, name, value, _SHORTEST)
    return found


def _add(values: dict[str, str], name: str, value: str, shortest: int) -> None:
    if len(value) >= shortest:
        values[value] = f"${{{name}}}"
    _add_passwords(values, name, value, shortest)


def _add_passwords(values: dict[str, str], name: str, value: str, shortest: int) -> None:
    for _, password in _URI.findall(value):
        for each in {password, unquote(password), quote(password, safe="")}:
            if len(each) >= shortest:
                values.setdefault(each, HIDDEN)


def _could_be(value: str) -> bool:
    plain = not re.search(r"\s", value) and not value.startswith((*_PATHS, "${", HIDDEN, "{{"))
    return plain and "://" not in value and value.lower() not in ("", "true", "false", "none", "null")
