"""What a snapshot says about files: entries, in nodes, in a Merkle tree of chunk ids.

A directory is a list of entries in the order of their names (bytes), cut into nodes; a node is a metadata chunk.
Content is a list of chunk ids, of which long ones are folded into metadata chunks of ids ("depth"). So the id
of the top names everything below it, and an unchanged subtree costs nothing. A tree may come from an enemy:
decoders check every name, and readers bound every level.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, cast
from zlib import crc32

import msgspec
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.storage.chunks import CHUNK_MAX, ChunkId

NAME_MAX: Final = 4096  # file systems allow 255; some FUSE ones more
LINK_MAX: Final = 4096  # PATH_MAX of Linux
XATTRS_MAX: Final = 256 * 1024  # of one entry: Linux allows 64 KiB each; more is reported and left out
HOLES_MAX: Final = 4096  # of one file; further ones are kept as zeros, which compress to nothing
IDS_MAX: Final = 256  # chunk ids in an entry before they are folded
FOLD_IDS_MAX: Final = 8192  # ids in one folded chunk, 278 KiB
DEPTH_MAX: Final = 4
NODE_BYTES: Final = 256 * 1024  # a node is cut at the first entry beyond it
_NODE_BYTES_MIN: Final = 16 * 1024
_NODE_CUT_MASK: Final = 63  # one name in 64 ends a node, so that an insertion changes one node and not all after it

Uint32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Size = Annotated[int, Meta(ge=0, le=2**62)]


class Attributes(Record, frozen=True):
    """What every kind of file has. Owners as numbers and names; the time as seconds and nanoseconds since 1970."""

    mode: Annotated[int, Meta(ge=0, le=0o7777)]
    uid: Uint32
    gid: Uint32
    user: Annotated[bytes, Meta(max_length=256)]
    group: Annotated[bytes, Meta(max_length=256)]
    mtime_s: Annotated[int, Meta(ge=-(2**62), le=2**62)]
    mtime_ns: Annotated[int, Meta(ge=0, le=999_999_999)]
    xattrs: tuple[tuple[Annotated[bytes, Meta(min_length=1, max_length=255)], bytes], ...] = ()


class Content(Record, frozen=True):
    """Chunk ids in order; at depth 0 they name the data itself, at depth d lists of ids of depth d - 1."""

    depth: Annotated[int, Meta(ge=0, le=DEPTH_MAX)]
    ids: Annotated[tuple[ChunkId, ...], Meta(max_length=IDS_MAX)]


EMPTY: Final = Content(0, ())

Name = Annotated[bytes, Meta(min_length=1, max_length=NAME_MAX)]
LinkGroup = tuple[int, int] | None
"""Device and inode of a file with several names: entries with the same pair are one file."""


class File(Record, frozen=True, tag="f"):
    """A regular file. The content fills what is left between the holes, which are (offset, length) in order."""

    name: Name
    attributes: Attributes
    size: Size
    content: Content
    holes: Annotated[tuple[tuple[Size, Size], ...], Meta(max_length=HOLES_MAX)] = ()
    link: LinkGroup = None


class Directory(Record, frozen=True, tag="d"):
    """A directory; its content are nodes."""

    name: Name
    attributes: Attributes
    content: Content


class Symlink(Record, frozen=True, tag="l"):
    """A symbolic link and where it points."""

    name: Name
    attributes: Attributes
    target: Annotated[bytes, Meta(min_length=1, max_length=LINK_MAX)]
    link: LinkGroup = None


class Device(Record, frozen=True, tag="v"):
    """A block or character device node."""

    name: Name
    attributes: Attributes
    kind: Literal["block", "char"]
    major: Uint32
    minor: Uint32
    link: LinkGroup = None


Entry = File | Directory | Symlink | Device


class Node(Record, frozen=True):
    """A run of a directory's entries, by ascending name."""

    entries: tuple[Entry, ...]


class Fold(Record, frozen=True):
    """A run of chunk ids."""

    ids: Annotated[tuple[ChunkId, ...], Meta(min_length=1, max_length=FOLD_IDS_MAX)]


Put = Callable[[bytes], ChunkId]
"""Takes a metadata chunk away and names it."""

Get = Callable[[ChunkId], bytes]
"""Brings a metadata chunk back, verified against its id."""


def fold(ids: Iterable[ChunkId], put: Put) -> Content:
    """Return the content of these ids, folded until it is short enough for an entry."""
    depth, held = 0, tuple(ids)
    while len(held) > IDS_MAX:
        runs = (held[start : start + FOLD_IDS_MAX] for start in range(0, len(held), FOLD_IDS_MAX))
        held = tuple(put(encode(Fold(run))) for run in runs)
        depth += 1
    return Content(depth, held)


def unfold(content: Content, get: Get) -> Iterator[ChunkId]:
    """Return the ids at depth 0, in order. Raises Malformed for folds that are none."""
    if content.depth == 0:
        yield from content.ids
        return
    for chunk_id in content.ids:
        run = decode(get(chunk_id), Fold, size_max=CHUNK_MAX).ids
        for start in range(0, len(run), IDS_MAX):
            yield from unfold(Content(content.depth - 1, run[start : start + IDS_MAX]), get)


def write_directory(entries: Iterable[tuple[bytes, bytes]], put: Put) -> Content:
    """Return the content of a directory from (name, encoded entry) pairs in ascending order of names."""
    ids, held, size = list[ChunkId](), list[bytes](), 0
    for name, encoded in entries:
        held.append(encoded)
        size += len(encoded)
        if size >= NODE_BYTES or (size >= _NODE_BYTES_MIN and crc32(name) & _NODE_CUT_MASK == 0):
            ids.append(put(_encode_node(held)))
            held, size = [], 0
    if held:
        ids.append(put(_encode_node(held)))
    return fold(ids, put)


def _encode_node(encoded: list[bytes]) -> bytes:
    # Entries are kept encoded while a directory is read, so that a large one takes little memory.
    return encode([[msgspec.Raw(entry) for entry in encoded]])


def decode_entry(data: bytes) -> Entry:
    """Return the entry that these bytes are, or raise Malformed."""
    entry = cast("Entry", decode(data, cast("Any", Entry), size_max=CHUNK_MAX))
    check_entry(entry)
    return entry


def decode_node(data: bytes) -> Node:
    """Return a node with safe, ascending names and possible holes, or raise Malformed."""
    node = decode(data, Node, size_max=CHUNK_MAX)
    for entry in node.entries:
        check_entry(entry)
    _check_ascending([entry.name for entry in node.entries])
    return node


def read_directory(content: Content, get: Get) -> Iterator[Entry]:
    """Return a directory's entries, checked, by ascending name over all nodes."""
    last = b""
    for chunk_id in unfold(content, get):
        for entry in decode_node(get(chunk_id)).entries:
            if entry.name <= last:
                raise Malformed(f"the names of a directory are out of order at {entry.name!r}")
            last = entry.name
            yield entry


def _check_ascending(names: list[bytes]) -> None:
    if any(one >= other for one, other in pairwise(names)):
        raise Malformed("the names of a directory are out of order")


def check_entry(entry: Entry) -> None:
    """Raise Malformed for a name that leaves its directory, for holes that overlap, for doubled attributes."""
    if entry.name in (b".", b"..") or b"/" in entry.name or b"\0" in entry.name:
        raise Malformed(f"{entry.name!r} is not a name")
    names = [name for name, _ in entry.attributes.xattrs]
    if any(b"\0" in name for name in names):
        raise Malformed(f"{entry.name!r} has an attribute that is not a name")
    _check_ascending(names)
    if isinstance(entry, Symlink) and b"\0" in entry.target:
        raise Malformed(f"{entry.name!r} points nowhere")
    if isinstance(entry, File):
        end = 0
        for offset, length in entry.holes:
            if offset < end or not length or offset + length > entry.size:
                raise Malformed(f"the holes of {entry.name!r} overlap or lie outside")
            end = offset + length
