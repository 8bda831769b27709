"""The pledge and the keysets as a person reads them."""

from collections.abc import Iterator
from typing import Final, cast

from nanobarter.cli.show_notes import Teller
from nanobarter.cli.table import mib, table, when
from nanobarter.core.units import show_size
from nanobarter.daemon import facade_pledge as f

_WHAT: Final = {"notes": "notes", "lock": "a lock", "lease": "leases", "reserved": "set aside for drafts"}


def _keysets(told: f.MintKeysets) -> Iterator[str]:
    rows = (
        (row.keyset[:12], row.kind, str(row.generation), row.stage, when(row.issue_from), when(row.issue_until),
         when(row.redeem_until), when(row.purge_at), f"1..{max((s.mib for s in row.sizes), default=0)} MiB",
         str(sum(s.issued for s in row.sizes)), str(sum(s.spent for s in row.sizes)), mib(row.outstanding_mib))
        for row in told.keysets
    )  # fmt: skip
    head = ("keyset", "kind", "gen", "stage", "issues from", "until", "redeems until", "purged", "notes of", "issued",
            "spent", "outstanding")  # fmt: skip
    yield from table(head, rows, "no keysets")
    yield f"generation {told.generation}; the next keys are made at {when(told.next_keys_at)}"


def _offer(offer: f.OfferView) -> Iterator[str]:
    rows = (
        (row.kind, *map(mib, (row.pledged_mib, row.notes_mib, row.locked_mib, row.leased_mib,
                              row.reserved_mib + row.promised_mib, row.free_mib)))
        for row in offer.kinds
    )  # fmt: skip
    yield from table(("kind", "pledged", "notes", "locked", "leased", "set aside", "free"), rows, "nothing is offered")
    yield f"{show_size(offer.space_bytes)} offered together; the disk has {show_size(offer.disk_free_bytes)} free"


def _changed(answer: f.OfferChanged) -> Iterator[str]:
    for row in answer.blocked:
        yield f"{row.kind}: {mib(row.promised_mib)} are promised, {mib(row.wanted_mib)} would be; first must end"
        ends = ((_WHAT[p.what], mib(p.mib), when(p.until)) for p in row.ends_first)
        yield from table(("what", "space", "ends"), ends, "")
        yield ""
    yield from _offer(answer.offer)


TELLERS: Final = cast(
    "dict[str, Teller]",
    {
        "mint_keysets": (f.MintKeysets, _keysets),
        "offer": (f.OfferView, _offer),
        "offer_change": (f.OfferChanged, _changed),
    },
)
