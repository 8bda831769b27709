"""What a node tells and does for its person: the shapes of the local API, and the door behind it.

``NodeFacade`` is implemented by the daemon's node and, in tests, by a fake; ``api_routes`` serves it; ``nbctl``
reads the same shapes back. Every answer is a JSON object whose ``type`` names its shape. Instants are
milliseconds since 1970 UTC, spaces are MiB where the name ends in ``_mib`` and bytes where it ends in
``_bytes``, ids are text. Amounts in the pet currency are decimal text, for telling only.

The shapes stand in the modules ``facade_*`` beside this one and are all found here.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from nanobarter.daemon.facade_backup import BackupDone, Outcome, Plan, SnapshotRow, Snapshots
from nanobarter.daemon.facade_bots import BotsFacade
from nanobarter.daemon.facade_doctor import Doctor
from nanobarter.daemon.facade_drafts import DraftsFacade
from nanobarter.daemon.facade_economy import EconomyFacade
from nanobarter.daemon.facade_leave import LeaveFacade
from nanobarter.daemon.facade_ledger import Balance, BalanceRow, Currency, Ledger, LedgerEntry, Posting, Report
from nanobarter.daemon.facade_market import (
    Agreement,
    BidPlaced,
    BidRow,
    BidWithdrawn,
    Couple,
    MarketBook,
    MarketQuote,
    MarketRates,
    MarketView,
    PartnerRow,
    Proposal,
    RateRow,
)
from nanobarter.daemon.facade_node import (
    Bandwidth,
    ConvictedRow,
    DrillRow,
    Health,
    HealthProblem,
    HealthState,
    HolderRow,
    PeerRow,
    Peers,
    Status,
)
from nanobarter.daemon.facade_notes import NotesFacade
from nanobarter.daemon.facade_pledge import PledgeFacade
from nanobarter.daemon.facade_space import (
    CapacityRow,
    FindingRow,
    HoldingRow,
    LeaseRow,
    Leases,
    MintAudit,
    MintStatus,
    WalletView,
)
from nanobarter.daemon.friends import FriendsFacade
from nanobarter.daemon.shape import Part, Progress, Shape
from nanobarter.daemon.storage_facade import StorageFacade

__all__ = [
    "Agreement",
    "BackupDone",
    "BackupEvent",
    "Balance",
    "BalanceRow",
    "Bandwidth",
    "BidPlaced",
    "BidRow",
    "BidWithdrawn",
    "CapacityRow",
    "ConvictedRow",
    "Couple",
    "Currency",
    "DrillRow",
    "FindingRow",
    "Health",
    "HealthProblem",
    "HealthState",
    "HolderRow",
    "HoldingRow",
    "LeaseRow",
    "Leases",
    "Ledger",
    "LedgerEntry",
    "MarketBook",
    "MarketQuote",
    "MarketRates",
    "MarketView",
    "MintAudit",
    "MintStatus",
    "NodeFacade",
    "Outcome",
    "Part",
    "PartnerRow",
    "PeerRow",
    "Peers",
    "Plan",
    "Posting",
    "Progress",
    "Proposal",
    "RateRow",
    "Report",
    "Shape",
    "SnapshotRow",
    "Snapshots",
    "Status",
    "WalletView",
]

BackupEvent = Progress | BackupDone


class NodeFacade(Protocol):
    """One running node, as its person sees it.

    An expected no is raised as ``RefusedError``. A UsageError, LocalFault, PeerFault or Unreachable that a
    method raises is told to the person as it is. The iterator of ``backup`` yields Progress and
    ends with one result; closing one cancels the job, and what it has done so far stays valid.
    """

    @property
    def notes(self) -> NotesFacade:
        """What is done with notes by hand."""
        ...

    @property
    def storage(self) -> StorageFacade:
        """What can be asked about snapshots and what is stored of them."""
        ...

    @property
    def circle(self) -> FriendsFacade:
        """With whom the node talks, and invitations."""
        ...

    @property
    def pledge(self) -> PledgeFacade:
        """What is pledged to others, and the keysets that stand on it."""
        ...

    @property
    def economy(self) -> EconomyFacade:
        """The book for other programs, the reliability of peers, and policies."""
        ...

    @property
    def bots(self) -> BotsFacade:
        """What acts by itself."""
        ...

    @property
    def drafts(self) -> DraftsFacade:
        """What a person says to drafts."""
        ...

    @property
    def leaving(self) -> LeaveFacade:
        """Leaving in good order."""
        ...

    async def status(self) -> Status:
        """Show the node at a glance."""
        ...

    async def doctor(self) -> Doctor:
        """Tell what works, what does not and what to do; takes some seconds."""
        ...

    async def peers(self) -> Peers:
        """List every node we know of."""
        ...

    async def market(self) -> MarketView:
        """List bids and agreements."""
        ...

    async def market_book(self) -> MarketBook:
        """List the live bids with every term."""
        ...

    async def market_quote(self, gives: str, wants: str, quantity: str, omega: str) -> MarketQuote:
        """Tell what could be had; with a quantity or an omega, also the bid that would yield it.

        Qualities are written ``30d``, ``30d@any`` or ``30d@nb1...``; empty is our own quality, and any of its kind.
        A quantity is whole MiB or a size, an omega a ratio.
        """
        ...

    async def market_bid(
        self, gives: str, wants: str, quantity: str, omega: str, floor: str, *, best: bool
    ) -> BidPlaced:
        """Post a bid by hand that gives at most so much; words as in ``market_quote``, an empty omega is 1/1."""
        ...

    async def market_withdraw(self, bid: str) -> BidWithdrawn:
        """Take back the bid by hand whose id begins so."""
        ...

    async def market_rates(self) -> MarketRates:
        """Tell at what rates qualities changed hands here."""
        ...

    async def wallet(self) -> WalletView:
        """Show the notes held."""
        ...

    async def mint_status(self) -> MintStatus:
        """Sum up the books of the own mint."""
        ...

    async def mint_audit(self) -> MintAudit:
        """Check the own mint's books."""
        ...

    def backup(self, folders: tuple[str, ...]) -> AsyncIterator[BackupEvent]:
        """Back up these folders (those of the config when empty) until every share is placed."""
        ...

    async def snapshots(self) -> Snapshots:
        """List what can be restored."""
        ...

    async def ledger(self) -> Ledger:
        """Tell what happened."""
        ...

    async def balance(self) -> Balance:
        """Tell what stands where."""
        ...

    async def report(self, month: str) -> Report:
        """Tell of one month (``YYYY-MM``; the current one when empty)."""
        ...

    async def leases(self) -> Leases:
        """List the leases in force."""
        ...

    async def health(self) -> Health:
        """Tell what peers have proven, by the last audits."""
        ...

    async def audit_now(self) -> Health:
        """Challenge every share now, then tell."""
        ...

    async def plan(self) -> Plan:
        """Work out what the folders need."""
        ...
