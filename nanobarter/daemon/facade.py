"""What a node tells and does for its person: the shapes of the local API, and the door behind it.

``NodeFacade`` is implemented by the daemon's node and, in tests, by a fake; ``api_routes`` serves it; ``nbctl``
reads the same shapes back. Every answer is a JSON object whose ``type`` names its shape. Instants are
milliseconds since 1970 UTC, spaces are MiB where the name ends in ``_mib`` and bytes where it ends in
``_bytes``, ids are text. Amounts in the pet currency are decimal text, for telling only.
"""

from collections.abc import AsyncIterator
from typing import Literal, Protocol

from nanobarter.daemon.facade_drafts import DraftsFacade
from nanobarter.daemon.facade_notes import NotesFacade
from nanobarter.daemon.facade_pledge import PledgeFacade
from nanobarter.daemon.friends import FriendsFacade
from nanobarter.daemon.shape import Part, Progress, Shape
from nanobarter.daemon.storage_facade import StorageFacade

HealthState = Literal["none", "good", "thin", "degraded", "below_threshold"]
Outcome = Literal["complete", "partial"]


# -- the node and its peers


class PeerRow(Part, frozen=True, kw_only=True):
    """One known node."""

    node: str
    addresses: tuple[str, ...] = ()
    connected: bool = False
    last_seen: int | None = None
    convicted: str = ""
    """Of what, when somebody proved fraud of it: its notes are worth nothing here. A clause that begins with "it"."""


class ConvictedRow(Part, frozen=True, kw_only=True):
    """A node that was proven to have committed fraud; ``at`` is when we came to know."""

    node: str
    why: str
    at: int


class Peers(Shape, frozen=True, kw_only=True, tag="peers"):
    """Every node we know of."""

    peers: tuple[PeerRow, ...] = ()


class HolderRow(Part, frozen=True, kw_only=True):
    """One peer that keeps shares of ours: of how many packs, and of how many with a recent valid proof."""

    node: str
    shares: int
    packs: int
    proven: int


class HealthProblem(Part, frozen=True, kw_only=True):
    """One thing that is wrong with what is stored: ``wrong`` (altered, a broken lease), ``silent`` or ``offline``."""

    node: str
    pack: str
    kind: str
    detail: str = ""


class Health(Shape, frozen=True, kw_only=True, tag="health"):
    """What peers have proven to keep. ``below_threshold`` counts packs under k + 0.4 (n - k) proven shares."""

    state: HealthState = "none"
    packs: int = 0
    k: int = 0
    n: int = 0
    shares_placed: int = 0
    shares_proven: int = 0
    below_threshold: int = 0
    audits_passed: int = 0
    audits_failed: int = 0
    oldest_proof: int | None = None
    holders: tuple[HolderRow, ...] = ()
    problems: tuple[HealthProblem, ...] = ()


class Status(Shape, frozen=True, kw_only=True, tag="status"):
    """The node at a glance."""

    node: str
    version: str
    pid: int
    started: int
    listen: str
    home: str
    peers_connected: int = 0
    peers_known: int = 0
    same_host: bool = False
    folders: tuple[str, ...] = ()
    snapshots: int = 0
    last_snapshot: int | None = None
    offered_mib: int = 0
    lent_mib: int = 0
    held_mib: int = 0
    bids_heard: int = 0
    agreements: int = 0
    convicted: tuple[ConvictedRow, ...] = ()
    health: Health = Health()
    problems: tuple[str, ...] = ()


# -- barter


class BidRow(Part, frozen=True, kw_only=True):
    """One live bid: what its author gives for what. ``gives`` and ``wants`` are for reading, not parsing.

    ``omega`` and ``floor`` (empty: none) are ratios like ``3/2``: how much is given for one that is received.
    """

    bid: str
    node: str
    own: bool
    gives: str
    wants: str
    quantity_mib: int
    expires: int
    type: Literal["limit", "best"] = "limit"
    omega: str = "1/1"
    floor: str = ""
    by_hand: bool = False


class Agreement(Part, frozen=True, kw_only=True):
    """One ring that this node took part in: the parties in ring order, what it gave and what it got."""

    draft_id: str
    parties: tuple[str, ...]
    state: Literal["drafted", "approved", "settled", "refused", "aborted"]
    gave_issuer: str = ""
    gave_kind: str = ""
    gave_mib: int = 0
    got_issuer: str = ""
    got_kind: str = ""
    got_mib: int = 0
    at: int = 0
    detail: str = ""


class MarketView(Shape, frozen=True, kw_only=True, tag="market"):
    """The book as this node heard it, and its agreements, newest last."""

    bids: tuple[BidRow, ...] = ()
    agreements: tuple[Agreement, ...] = ()


class BidPlaced(Shape, frozen=True, kw_only=True, tag="market_bid"):
    """A bid by hand that stands now."""

    bid: BidRow


class BidWithdrawn(Shape, frozen=True, kw_only=True, tag="market_withdraw"):
    """A bid by hand that no longer stands. ``at_work``: a draft that had begun with it still runs to its end."""

    bid: str
    at_work: bool = False


class MarketBook(Shape, frozen=True, kw_only=True, tag="market_book"):
    """The live bids, with every term."""

    bids: tuple[BidRow, ...] = ()


class Couple(Part, frozen=True, kw_only=True):
    """So much is received for so much given."""

    received_mib: int
    given_mib: int


class PartnerRow(Part, frozen=True, kw_only=True):
    """One bid of a chain and what a wished agreement asks of it: to give ``effort`` times its omega for a unit."""

    bid: str
    node: str
    gives: str
    gives_mib: int
    omega: str
    effort: float
    omega_asked: float


class Proposal(Part, frozen=True, kw_only=True):
    """A wished agreement over the best chain, and the bid that yields it while the book stays as it is.

    ``chain`` begins with who receives from us and ends with who gives to us. The bid gives at most
    ``quantity_mib`` at ``omega``; ``command`` posts it.
    """

    chain: tuple[PartnerRow, ...]
    received_mib: int
    given_mib: int
    omega: str
    quantity_mib: int
    command: str


class MarketQuote(Shape, frozen=True, kw_only=True, tag="market_quote"):
    """What could be had now, the best price first, each couple beyond those before it; nothing is reserved.

    ``cut`` says that a bound ended the search, so that there may be more. ``proposal`` is the wish come true, or
    without a wish the best chain at what it asks for; None when there is no chain.
    """

    gives: str
    wants: str
    couples: tuple[Couple, ...] = ()
    cut: bool = False
    proposal: Proposal | None = None


class RateRow(Part, frozen=True, kw_only=True):
    """All agreements of this node that exchanged two qualities; the last was settled at ``at``.

    ``mean`` (by volume) and ``last`` are ratios: so much of ``second`` for one of ``first``.
    """

    first: str
    second: str
    first_mib: int
    second_mib: int
    agreements: int
    mean: str
    last: str
    at: int


class MarketRates(Shape, frozen=True, kw_only=True, tag="market_rates"):
    """At what rates qualities changed hands, by unordered pair."""

    rates: tuple[RateRow, ...] = ()


class HoldingRow(Part, frozen=True, kw_only=True):
    """Notes of one quality in the wallet."""

    issuer: str
    kind: str
    mib: int
    reserved_mib: int = 0


class WalletView(Shape, frozen=True, kw_only=True, tag="wallet"):
    """The notes that this node holds."""

    holdings: tuple[HoldingRow, ...] = ()


class CapacityRow(Part, frozen=True, kw_only=True):
    """Where the pledged space of one lease kind is: the five others sum to ``pledged_mib``."""

    kind: str
    pledged_mib: int
    outstanding_mib: int
    locked_mib: int
    leased_mib: int
    free_mib: int


class MintStatus(Shape, frozen=True, kw_only=True, tag="mint_status"):
    """The state of this node's own mint."""

    capacity: tuple[CapacityRow, ...] = ()
    keysets: int = 0


class FindingRow(Part, frozen=True, kw_only=True):
    """One row of the mint's books that breaks its law."""

    row: str
    quantity: str
    problem: str


class MintAudit(Shape, frozen=True, kw_only=True, tag="mint_audit"):
    """What the mint's own audit found; ``ok`` when nothing."""

    ok: bool
    findings: tuple[FindingRow, ...] = ()


class LeaseRow(Part, frozen=True, kw_only=True):
    """One lease: ``held`` on a peer's disk, or ``given`` to a peer on this one."""

    lease_id: str
    side: Literal["held", "given"]
    issuer: str
    kind: str
    mib: int
    used_bytes: int
    start: int
    end: int


class Leases(Shape, frozen=True, kw_only=True, tag="leases"):
    """The leases in force."""

    leases: tuple[LeaseRow, ...] = ()


# -- backup and restore


class Plan(Shape, frozen=True, kw_only=True, tag="plan"):
    """What the folders need. ``problems`` says what stands against it, for a person."""

    folder_bytes: int
    files: int
    peers: int
    k: int
    n: int
    stored_bytes: int
    lend_bytes: int
    offered_bytes: int
    upload_seconds: int
    recover_probability: float
    problems: tuple[str, ...] = ()


class SnapshotRow(Part, frozen=True, kw_only=True):
    """One snapshot."""

    snapshot_id: str
    at: int
    files: int
    size_bytes: int
    outcome: Outcome
    thin: bool
    unread: int = 0
    folders: tuple[str, ...] = ()


class Snapshots(Shape, frozen=True, kw_only=True, tag="snapshots"):
    """The snapshots that can be restored, oldest first."""

    snapshots: tuple[SnapshotRow, ...] = ()


class BackupDone(Shape, frozen=True, kw_only=True, tag="backup"):
    """The end of a backup: every share that ``shares`` counts is on a peer's disk.

    ``partial`` when some files could not be read; their paths are in ``unread`` (at most a hundred, with
    odd bytes shown as question marks). ``thin`` when fewer peers than wanted hold it.
    """

    snapshot_id: str
    outcome: Outcome
    thin: bool = False
    below_threshold: int = 0
    files: int = 0
    size_bytes: int = 0
    new_bytes: int = 0
    packs: int = 0
    shares: int = 0
    k: int = 0
    n: int = 0
    unread_count: int = 0
    unread: tuple[str, ...] = ()
    seconds: float = 0.0


# -- the ledger, told in the pet currency


class Currency(Part, frozen=True, kw_only=True):
    """The person's own currency."""

    name: str
    symbol: str


class Posting(Part, frozen=True, kw_only=True):
    """One line of an entry; ``amount`` counts MiB of the commodity, ``value`` is in the pet currency or empty."""

    account: str
    commodity: str
    amount: int
    value: str = ""


class LedgerEntry(Part, frozen=True, kw_only=True):
    """One thing that happened; its postings sum to zero per commodity."""

    entry: int
    at: int
    text: str
    postings: tuple[Posting, ...] = ()


class Ledger(Shape, frozen=True, kw_only=True, tag="ledger"):
    """What happened, oldest first."""

    currency: Currency
    entries: tuple[LedgerEntry, ...] = ()


class BalanceRow(Part, frozen=True, kw_only=True):
    """What stands in one account; ``source`` says where the rate came from."""

    account: str
    commodity: str
    amount: int
    value: str = ""
    source: str = ""


class Balance(Shape, frozen=True, kw_only=True, tag="balance"):
    """What stands where, and its sum in the pet currency."""

    currency: Currency
    rows: tuple[BalanceRow, ...] = ()
    total: str = ""


class Report(Shape, frozen=True, kw_only=True, tag="report"):
    """Tell of one month (``2026-11``) in few lines."""

    currency: Currency
    month: str
    lines: tuple[str, ...] = ()
    total: str = ""


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
    def drafts(self) -> DraftsFacade:
        """What a person says to drafts."""
        ...

    async def status(self) -> Status:
        """Show the node at a glance."""
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
