"""The templates of `kfp_ct.pages` that a module renders, with all that those include, import or extend."""

import re
from collections.abc import Iterable
from pathlib import Path

from kfp_ct.caching.module_finder import ModuleFinder

# It renders what others name: its folder of templates counts by those names, not as a whole.
RENDERER = "kfp_ct.pages.markup"
_FOLDER = "templates"
_REFERENCE = re.compile(r"\{%[-+]?\s*(?:extends|include|import|from)\s+(.*?)%\}", re.DOTALL)
_QUOTED = re.compile(r"[\"']([^\"']+)[\"']")


class TemplateClosure:
    """Follows the templates of one library."""

    def __init__(self, finder: ModuleFinder) -> None:
        renderer = finder.find(RENDERER)
        self._folder = renderer.folder / _FOLDER if renderer else None
        self._references: dict[Path, tuple[set[Path], bool]] = {}

    def whole(self) -> set[Path]:
        """Returns every file of the folder."""
        return {path for path in self._folder.rglob("*") if path.is_file()} if self._folder else set()

    def of(self, names: Iterable[str]) -> set[Path]:
        """Returns the files of templates and of all they refer to; names that are no templates are passed over."""
        found: set[Path] = set()
        waiting = self._existing(names)
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            found.add(path)
            if path not in self._references:
                self._references[path] = self._read(path)
            further, is_known = self._references[path]
            if not is_known:
                return self.whole()
            waiting |= further
        return found

    def _read(self, path: Path) -> tuple[set[Path], bool]:
        """Returns the templates that one refers to, and whether all of them are named in it."""
        references = _REFERENCE.findall(path.read_text())
        named = {name for reference in references for name in _QUOTED.findall(reference)}
        return self._existing(named), all(_QUOTED.search(reference) for reference in references)

    def _existing(self, names: Iterable[str]) -> set[Path]:
        return {self._folder / name for name in names if (self._folder / name).is_file()} if self._folder else set()
