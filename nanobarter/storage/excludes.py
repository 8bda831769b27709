"""What a backup leaves out: gitignore patterns, cache directories, marked directories, other file systems."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import pathspec

from nanobarter.core.errors import UsageError

_CACHE_TAG: Final = b"CACHEDIR.TAG"
_CACHE_SIGNATURE: Final = b"Signature: 8a477f597d28d172789f06886806bc55"  # https://bford.info/cachedir/


@dataclass(frozen=True)
class Excludes:
    """The rules. Patterns are as in .gitignore, relative to the folder that is backed up.

    ``if_present`` names marker files: a directory that holds one keeps only the marker. ``absolute`` are paths
    that are never entered, such as the node's own home.
    """

    patterns: tuple[str, ...] = ()
    caches: bool = True
    if_present: tuple[str, ...] = ()
    one_file_system: bool = False
    absolute: tuple[Path, ...] = ()

    @cached_property
    def _spec(self) -> pathspec.GitIgnoreSpec:
        try:
            return pathspec.GitIgnoreSpec.from_lines(self.patterns)
        except ValueError as error:
            raise UsageError(
                f"an exclude pattern cannot be read: {error}", hint="write them as in .gitignore"
            ) from None

    @cached_property
    def _absolute(self) -> frozenset[bytes]:
        return frozenset(os.fsencode(path) for path in self.absolute)

    def check(self) -> None:
        """Raise UsageError for a pattern that means nothing."""
        _ = self._spec

    def leaves_out(self, path: bytes, relative: bytes, *, directory: bool) -> bool:
        """Tell whether a path is excluded; ``relative`` is the part below the folder that is backed up."""
        if path in self._absolute:
            return True
        if not self.patterns:
            return False
        text = os.fsdecode(relative) + ("/" if directory else "")
        return self._spec.match_file(text)

    def pattern_for(self, relative: bytes, *, directory: bool) -> int | None:
        """Return which pattern decides that a path is left out, counted from 0; None when it is kept."""
        found = self._spec.check_file(os.fsdecode(relative) + ("/" if directory else ""))
        return found.index if found.include else None

    def is_never_entered(self, path: bytes) -> bool:
        """Tell whether a path is one of those that are left out whatever the patterns say."""
        return path in self._absolute

    def only_marker(self, names: set[bytes], read_start: Callable[[bytes], bytes]) -> bytes | None:
        """Return the one name to keep of a directory that says it is not worth keeping, or None.

        ``read_start`` gives the first bytes of one of its files.
        """
        for marker in self.if_present:
            if os.fsencode(marker) in names:
                return os.fsencode(marker)
        if self.caches and _CACHE_TAG in names and read_start(_CACHE_TAG).startswith(_CACHE_SIGNATURE):
            return _CACHE_TAG
        return None
