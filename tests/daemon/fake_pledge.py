"""A pledge that answers from memory, beside ``fake_node``."""

from dataclasses import dataclass

from nanobarter.daemon import facade_pledge as f

ROW = f.PledgeRow(
    kind="30d", pledged_mib=100, notes_mib=40, locked_mib=1, leased_mib=20, reserved_mib=0, promised_mib=9, free_mib=30
)
VIEW = f.OfferView(space_bytes=100 * 2**20, disk_free_bytes=10**9, kinds=(ROW,))
BLOCKED = f.BlockedRow(
    kind="30d", wanted_mib=10, promised_mib=70, ends_first=(f.PromiseRow(what="notes", mib=40, until=86_400_000),)
)


@dataclass
class FakePledge:
    """Answers that a test may replace."""

    asked: list[str]
    blocked: tuple[f.BlockedRow, ...] = ()

    async def keysets(self) -> f.MintKeysets:
        self.asked.append("mint_keysets")
        sizes = (f.SizeRow(mib=1, issued=3, spent=1), f.SizeRow(mib=2, issued=1, spent=0))
        row = f.KeysetRow(
            keyset="ab" * 16, kind="30d", generation=0, stage="issuing", issue_from=0, issue_until=1, redeem_until=2,
            purge_at=3, outstanding_mib=4, sizes=sizes,
        )  # fmt: skip
        return f.MintKeysets(generation=0, next_keys_at=0, keysets=(row,))

    async def offer(self) -> f.OfferView:
        self.asked.append("offer")
        return VIEW

    async def change(self, space: str, kind: str, *, grow: bool) -> f.OfferChanged:
        self.asked.append(f"offer_change {space} {kind} {grow}")
        return f.OfferChanged(changed=not self.blocked, offer=VIEW, blocked=self.blocked)
