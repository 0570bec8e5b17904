"""Globs as bucket tools and build triggers have them: `*` and `?` end at a slash, `**` descends."""

import re

# What a glob means, by its parts.
_PARTS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|.", re.DOTALL)


def expression(pattern: str) -> re.Pattern[str]:
    """Returns the regular expression whose full matches are what a glob means."""

    def translated(token: str) -> str:
        if token.startswith("[") and len(token) > 1:
            return "[^" + token[2:] if token[1] == "!" else token
        return _PARTS.get(token) or re.escape(token)

    return re.compile("".join(map(translated, _TOKENS.findall(pattern))), re.DOTALL)
