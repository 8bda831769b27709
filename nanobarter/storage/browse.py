"""Reading a snapshot's trees: walk them in order, list them, compare two."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import trio

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.chunks import ChunkIds
from nanobarter.storage.concurrent import one_error
from nanobarter.storage.fetch import ChunkReader, Fetcher
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.ports import PackMissing, PackSource, may_come
from nanobarter.storage.snapshot import Snapshot
from nanobarter.storage.tree import Directory, Entry, Get, read_directory

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One step of a walk: an entry with its place below its root, or the end of a directory ("leave").

    ``parts`` are the names from the root down, empty for the root itself. ``lost`` says that a directory
    could not be read, wholly or from some point on.
    """

    kind: Literal["entry", "leave", "lost"]
    parts: tuple[bytes, ...]
    entry: Entry
    detail: str = ""
    away: bool = False
    """Of what is lost: whether it may be had later."""


def walk_entry(
    entry: Entry, get: Get, keep: Callable[[tuple[bytes, ...]], bool] = lambda _parts: True
) -> Iterator[Step]:
    """Return the steps through a root and all below it, each directory before its entries and left after them.

    Iterative: a hostile tree may be deeper than the stack. What ``keep`` denies is not entered.
    """
    yield Step("entry", (), entry)
    if not isinstance(entry, Directory):
        return
    stack: list[tuple[tuple[bytes, ...], Directory, Iterator[Entry]]] = [
        ((), entry, read_directory(entry.content, get)),
    ]
    while stack:
        parts, directory, entries = stack[-1]
        try:
            child = next(entries, None)
        except (Malformed, PackMissing, Unreachable) as error:
            yield Step("lost", parts, directory, str(error), may_come(error))
            child = None
        if child is None:
            yield Step("leave", parts, directory)
            stack.pop()
            continue
        below = (*parts, child.name)
        if not keep(below):
            continue
        yield Step("entry", below, child)
        if isinstance(child, Directory):
            stack.append((below, child, read_directory(child.content, get)))


async def with_reader(
    keys: VaultKeys, catalog: Catalog, source: PackSource, limits: Limits, work: Callable[[ChunkReader], T]
) -> T:
    """Run ``work`` in a worker thread with a reader of chunks, and return its result."""
    with one_error():
        async with trio.open_nursery() as nursery:
            reader = ChunkReader(catalog, Fetcher(source, keys, limits, nursery), ChunkIds(keys), limits)
            result = await trio.to_thread.run_sync(work, reader)
            nursery.cancel_scope.cancel()
        return result


@dataclass(frozen=True)
class Listed:
    """A line of a listing: the absolute path as it was, and the entry; ``away`` of what is lost as in ``Step``."""

    path: bytes
    entry: Entry
    away: bool = False


def join_path(root: bytes, parts: Sequence[bytes]) -> bytes:
    """Return the absolute path of a place below a root."""
    return b"/".join([root.rstrip(b"/"), *parts]) or b"/"


async def list_snapshot(
    snapshot: Snapshot,
    *,
    keys: VaultKeys,
    catalog: Catalog,
    source: PackSource,
    visit: Callable[[Listed], None],
    limits: Limits = LIMITS,
) -> list[Listed]:
    """Call ``visit`` with every entry in order, from a worker thread; return the directories that cannot be read."""

    def work(reader: ChunkReader) -> list[Listed]:
        lost = list[Listed]()
        for root in snapshot.roots:
            for step in walk_entry(root.entry, reader.meta):
                line = Listed(join_path(root.path, step.parts), step.entry, step.away)
                if step.kind == "entry":
                    visit(line)
                elif step.kind == "lost":
                    lost.append(line)
        return lost

    return await with_reader(keys, catalog, source, limits, work)


async def ls(
    snapshot: Snapshot, *, keys: VaultKeys, catalog: Catalog, source: PackSource, limits: Limits = LIMITS
) -> list[Listed]:
    """Return every entry of a snapshot in order. About 1 KiB of memory each; ``list_snapshot`` needs none."""
    lines = list[Listed]()
    await list_snapshot(snapshot, keys=keys, catalog=catalog, source=source, visit=lines.append, limits=limits)
    return lines
