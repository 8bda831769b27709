"""What the backup engine hands out and asks back: sealed packs, by their id.

The engine knows nothing of peers, leases or shares; whoever stores packs knows nothing of files. Both meet
here. A pack's body is k shares of data laid end to end, already sealed and padded: random bytes to all but
the holder of the vault's private key.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from nanobarter.core.errors import NanobarterError, Unreachable
from nanobarter.core.ids import PackId, sha256

PackKind = Literal["data", "meta"]

SHARE_SIZES: Final = (64 * 1024, 256 * 1024, 1024 * 1024, 2 * 1024 * 1024)
"""The only sizes of a share, bytes. Few and fixed, so that a length tells a holder next to nothing."""

SHARES_MAX: Final = 255  # the points of GF(2^8); zfec and ISA-L stop at 256


class PackMissing(NanobarterError):
    """A source does not have this pack, or not enough of it just now. Nobody is blamed.

    ``later``: it would be enough if all who should have a part of it answered.
    """

    def __init__(self, pack_id: PackId, detail: str = "not found", *, later: bool = False) -> None:
        super().__init__(f"pack {pack_id.hex()[:16]}: {detail}")
        self.pack_id = pack_id
        self.later = later


def may_come(error: BaseException) -> bool:
    """Tell whether what failed may be had when peers are back, instead of never again."""
    return error.later if isinstance(error, PackMissing) else isinstance(error, Unreachable)


@dataclass(frozen=True)
class Pack:
    """A sealed pack, ready for the erasure code: ``len(body) == k * share_size``, any k of n shares suffice.

    Metadata packs ("meta") hold directory trees and are worth more redundancy than those with file contents.
    """

    pack_id: PackId
    kind: PackKind
    body: bytes = field(repr=False)
    share_size: int
    k: int
    n: int


class PackSink(Protocol):
    """Takes packs away. The same pack may be put twice, at once or after a crash; that is one pack."""

    async def put(self, pack: Pack) -> None:
        """Return once the pack is durable: placed, or in a spool that survives a crash.

        Until it returns the engine counts the pack as lost and makes it again after a restart.
        """
        ...


class PackSource(Protocol):
    """Brings packs back."""

    async def get(self, pack_id: PackId) -> bytes:
        """Return the body. Raises PackMissing when it cannot be had; the engine checks the bytes itself."""
        ...


def pack_id_of(body: bytes) -> PackId:
    """Return a pack's id: the SHA-256 of its body."""
    return PackId(sha256(body))
