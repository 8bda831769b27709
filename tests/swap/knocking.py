"""How a rule is taken out for the time of some runs: one function of production code gives way to another."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KnockOut:
    """A rule, how it is taken out, and where its absence shows most."""

    rule: str
    campaigns: tuple[str, ...]
    out: Callable[[], Any]


@contextmanager
def swapped(owner: Any, name: str, other: Any) -> Generator[None]:
    """Put another function in the place of one."""
    before = getattr(owner, name)
    setattr(owner, name, other)
    try:
        yield
    finally:
        setattr(owner, name, before)
