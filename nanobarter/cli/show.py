"""Answers of the daemon as a person reads them: few lines, what matters first."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import msgspec

from nanobarter.cli import show_bots, show_drafts, show_economy, show_month, show_notes, show_pledge
from nanobarter.cli.observed import CHANGED
from nanobarter.cli.show_plan import plan_lines
from nanobarter.cli.show_storage import recover_lines
from nanobarter.cli.table import mib, short, table, when
from nanobarter.core.units import show_size
from nanobarter.daemon import facade as f
from nanobarter.daemon.storage_facade import RecoverDone, RestoreDone

_NODE: Final = re.compile(r"nb1[0-9a-z]+")
_HEALTH_TEXT: Final = {
    "none": "nothing is backed up yet",
    "fetching": "cannot be told yet: the index of your backups is being fetched from peers",
    "good": "backed up: every pack is proven at enough peers",
    "thin": "backed up, but thin: fewer peers than wanted",
    "degraded": "backed up, with some shares not proven",
    "below_threshold": "in danger: packs are below their repair threshold",
}
_FATE_TEXT: Final = {
    "away": "not now: too few peers prove it",
    "part": "PARTLY LOST",
    "lost": "LOST",
    "unknown": "cannot be told now",
}


def lines_of(answer: dict[str, Any]) -> Iterator[str]:
    """Return the lines that tell an answer; its JSON shape is in daemon.facade."""
    tellers = _TELLERS
    for more in (show_notes, show_pledge, show_drafts, show_economy, show_bots, show_month):
        tellers = tellers | more.TELLERS
    shape, tell = tellers[answer["type"]]
    return tell(msgspec.convert(answer, shape))


def _status(status: f.Status) -> Iterator[str]:
    yield f"node      {status.node}"
    yield f"listens   {status.listen}" + (" (same host)" if status.same_host else "")
    if status.config_changed:
        yield f"config    {CHANGED}"
    yield f"peers     {status.peers_connected} connected, {status.peers_known} known"
    yield f"space     {mib(status.lent_mib)} of {mib(status.offered_mib)} lent, {mib(status.held_mib)} held at others"
    yield f"market    {status.bids_heard} bids heard, {status.agreements} agreements"
    for row in status.convicted:
        yield f"convicted {short(row.node)} of fraud, {when(row.at)}: {row.why}"
    hours = "" if status.backup_hours == "always" else f"; backups start at {status.backup_hours}"
    yield f"snapshots {status.snapshots}, last {when(status.last_snapshot)}{hours}"
    if status.drill is not None:
        yield f"drill     {_drilled(status.drill)}"
    if status.bandwidth.upload_bytes_s or status.bandwidth.download_bytes_s:
        yield f"bandwidth {_bandwidth(status.bandwidth)}"
    yield from _health(status.health)
    for problem in status.problems:
        yield f"problem   {problem}"


def _drilled(drill: f.DrillRow) -> str:
    if drill.problem_count:
        return f"FAILED on {when(drill.at)}: {drill.problem_count} did not come back as they were"
    return f"{drill.files} files came back on {when(drill.at)}, {drill.compared} compared with the disk"


def _bandwidth(limits: f.Bandwidth) -> str:
    up, down = (
        "unlimited" if rate is None else f"{show_size(rate)}/s"
        for rate in (limits.upload_bytes_s, limits.download_bytes_s)
    )
    hours = "" if limits.hours == "always" else f" at {limits.hours}, " + ("now" if limits.in_force else "not now")
    return f"{up} up, {down} down{hours}"


def _health(health: f.Health) -> Iterator[str]:
    yield f"health    {_HEALTH_TEXT[health.state]}"
    if health.packs:
        most = "most of them back" if health.mixed else "one back"
        yield f"          {health.packs} packs, any {health.k} of {health.n} shares bring {most}"
        oldest = when(health.oldest_proof)
        yield f"          {health.shares_proven} of {health.shares_placed} shares proven, oldest proof {oldest}"
    if health.lost:
        yield f"lost      {health.lost} packs cannot be brought back; nbctl backup stores again what the folders hold"
    if health.away:
        yield f"away      {health.away} packs cannot be had now: too few peers answer or have proven them lately"
    for problem in health.problems:
        what = f"pack {problem.pack[:12]} at {short(problem.node)}" if problem.pack else short(problem.node)
        yield f"problem   {problem.kind}: {what} {problem.detail}".rstrip()


def _peers(peers: f.Peers) -> Iterator[str]:
    rows = (
        (
            row.node,
            "connected" if row.connected else when(row.last_seen),
            row.path,
            "" if row.latency_ms is None else f"{row.latency_ms:.1f} ms",
            f"{show_size(row.bytes_in)} / {show_size(row.bytes_out)}" if row.connected else "",
            str(row.score),
            " ".join(row.addresses) + (f"  CONVICTED: {row.convicted}" if row.convicted else ""),
        )
        for row in peers.peers
    )
    return table(("node", "seen", "path", "latency", "in / out", "score", "addresses"), rows, "no peers yet")


def _market(market: f.MarketView) -> Iterator[str]:
    bids = (
        ("mine" if bid.own else short(bid.node), bid.gives, bid.wants, mib(bid.quantity_mib), when(bid.expires))
        for bid in market.bids
    )
    yield from table(("by", "gives", "wants", "quantity", "until"), bids, "no bids heard")
    yield ""
    rings = (
        (a.draft_id[:12], a.state, " -> ".join(map(short, a.parties)), mib(a.gave_mib), mib(a.got_mib), a.detail)
        for a in market.agreements
    )
    yield from table(("agreement", "state", "parties", "gave", "got", ""), rings, "no agreements yet")


def _brief(text: str) -> str:
    """Return a text with its node ids cut, for tables."""
    return _NODE.sub(lambda node: short(node[0]), text)


def _book(book: f.MarketBook) -> Iterator[str]:
    rows = (
        (bid.bid[:12], _bidder(bid), bid.type, _brief(bid.gives), _brief(bid.wants), bid.omega, bid.floor,
         mib(bid.quantity_mib), when(bid.expires))
        for bid in book.bids
    )  # fmt: skip
    return table(("bid", "by", "type", "gives", "wants", "omega", "floor", "quantity", "until"), rows, "no bids heard")


def _bidder(bid: f.BidRow) -> str:
    return short(bid.node) if not bid.own else "me, by hand" if bid.by_hand else "me"


def _placed(placed: f.BidPlaced) -> Iterator[str]:
    bid = placed.bid
    yield f"bid {bid.bid[:12]} stands: {bid.quantity_mib} MiB of {_brief(bid.gives)} for {_brief(bid.wants)}"
    yield f"at {bid.omega}" + (f", down to {bid.floor}" if bid.floor else "")


def _withdrawn(withdrawn: f.BidWithdrawn) -> Iterator[str]:
    yield f"bid {withdrawn.bid[:12]} is taken back" + (
        "; a draft that began with it runs to its end" if withdrawn.at_work else ""
    )


def _quote(quote: f.MarketQuote) -> Iterator[str]:
    rows = (
        (f"{c.received_mib} MiB", f"{c.given_mib} MiB", f"{c.given_mib / c.received_mib:.4g}") for c in quote.couples
    )
    yield f"{_brief(quote.wants)} for {_brief(quote.gives)}"
    yield from table(("receive", "give", "omega"), rows, "nobody gives that for this now")
    if quote.cut:
        yield "a bound cut the search short; there may be more"
    if quote.proposal is not None:
        yield ""
        yield from _proposal(quote.proposal)


def _proposal(wish: f.Proposal) -> Iterator[str]:
    rows = (
        (row.bid[:12], short(row.node), f"{row.gives_mib} MiB", _brief(row.gives), row.omega,
         f"{row.omega_asked:.4g}", f"{row.effort:.1%}")
        for row in wish.chain
    )  # fmt: skip
    yield from table(("partner", "node", "gives", "of", "omega", "asked", "effort"), rows, "nobody")
    yield f"receive {wish.received_mib} MiB, give {wish.given_mib} MiB with the bid"
    yield f"  {wish.command}"


def _rates(rates: f.MarketRates) -> Iterator[str]:
    rows = (
        (_brief(row.first), _brief(row.second), row.mean, row.last, str(row.agreements), when(row.at))
        for row in rates.rates
    )
    return table(("of one", "of the other", "mean", "last", "agreements", "when"), rows, "no agreements yet")


def _wallet(wallet: f.WalletView) -> Iterator[str]:
    rows = ((row.issuer, row.kind, mib(row.mib), mib(row.reserved_mib)) for row in wallet.holdings)
    return table(("issuer", "kind", "space", "reserved"), rows, "no notes")


def _mint(status: f.MintStatus) -> Iterator[str]:
    rows = (
        (row.kind, *map(mib, (row.pledged_mib, row.outstanding_mib, row.locked_mib, row.leased_mib, row.free_mib)))
        for row in status.capacity
    )
    return table(("kind", "pledged", "notes", "locked", "leased", "free"), rows, "nothing is pledged")


def _mint_audit(audit: f.MintAudit) -> Iterator[str]:
    rows = ((row.row, row.quantity, row.problem) for row in audit.findings)
    return table(("row", "quantity", "problem"), rows, "the mint's books are in order")


def _leases(leases: f.Leases) -> Iterator[str]:
    rows = (
        (row.side, short(row.issuer), row.kind, mib(row.mib), show_size(row.used_bytes), when(row.end))
        for row in leases.leases
    )
    return table(("side", "issuer", "kind", "space", "used", "until"), rows, "no leases")


def _snapshots(snapshots: f.Snapshots) -> Iterator[str]:
    rows = (
        (row.snapshot_id[:12], when(row.at), str(row.files), show_size(row.size_bytes), _outcome(row))
        for row in snapshots.snapshots
    )
    yield from table(("snapshot", "made", "files", "size", "state"), rows, "no snapshots")
    if any(row.fate in ("part", "lost") for row in snapshots.snapshots):
        yield "what is lost is stored again by nbctl backup as far as the folders hold it; nbctl forget takes the rest"


def _outcome(row: f.SnapshotRow) -> str:
    said = f"partial, {row.unread} unread" if row.outcome == "partial" else "complete"
    return _FATE_TEXT.get(row.fate, said) + (", thin" if row.thin and row.fate != "lost" else "")


def _backup(done: f.BackupDone) -> Iterator[str]:
    yield f"snapshot {done.snapshot_id[:12]}: {done.files} files, {show_size(done.size_bytes)}"
    yield f"{done.packs} new packs (any {done.k} of {done.n} shares bring one back) placed in {done.seconds:.1f} s"
    yield f"{done.shares} shares are proven to be at peers, those of earlier backups and of the catalog included"
    if done.thin:
        yield f"thin: any {done.k} of {done.n} is less safe than with more peers"
    if done.stepped_down:
        yield f"less safe than before: {done.stepped_down}"
    if done.unread_count:
        yield f"{done.unread_count} could not be read:"
        yield from (f"  {path}" for path in done.unread)
    if done.skipped_count:
        more = ", the first:" if done.skipped_count > len(done.skipped) else ":"
        yield f"{done.skipped_count} sockets and FIFOs are not kept{more}"
        yield from (f"  {path}" for path in done.skipped)


def _restore(done: RestoreDone) -> Iterator[str]:
    yield f"{done.files} files, {show_size(done.size_bytes)} in {done.target} in {done.seconds:.1f} s"
    if done.kept_files or done.kept_bytes:
        yield f"{show_size(done.kept_bytes)} of it, with {done.kept_files} whole files, were there already"
    if done.problem_count:
        yield f"{done.problem_count} not given back exactly:"
        yield from (f"  {problem}" for problem in done.problems)
    if done.warning:
        yield f"attention: {done.warning}"


def _worth(value: str, currency: f.Currency) -> str:
    return f"{value} {currency.symbol}" if value else ""


def _ledger(ledger: f.Ledger) -> Iterator[str]:
    for entry in ledger.entries:
        yield f"{when(entry.at)}  {entry.text}"
        for p in entry.postings:
            worth = _worth(p.value, ledger.currency)
            yield f"    {p.account:<28} {p.amount:>10} {p.commodity[:24]:<24} {worth}".rstrip()
    if not ledger.entries:
        yield "nothing has happened yet"


def _balance(balance: f.Balance) -> Iterator[str]:
    rows = (
        (row.account, mib(row.amount) if row.amount >= 0 else f"-{mib(-row.amount)}", row.commodity[:24],
         _worth(row.value, balance.currency), row.source)
        for row in balance.rows
        if not row.account.startswith("equity")  # the other side of every exchange: for accountants, by --json
    )  # fmt: skip
    yield from table(("account", "space", "of", "worth", "rate from"), rows, "nothing stands anywhere")
    if balance.total:
        yield f"together {_worth(balance.total, balance.currency)}"


_TELLERS: Final = cast(
    "dict[str, tuple[type[f.Shape], Callable[[f.Shape], Iterator[str]]]]",
    {
        "status": (f.Status, _status), "health": (f.Health, _health), "peers": (f.Peers, _peers),
        "market": (f.MarketView, _market), "wallet": (f.WalletView, _wallet), "mint_status": (f.MintStatus, _mint),
        "market_book": (f.MarketBook, _book), "market_quote": (f.MarketQuote, _quote),
        "market_bid": (f.BidPlaced, _placed), "market_withdraw": (f.BidWithdrawn, _withdrawn),
        "market_rates": (f.MarketRates, _rates), "mint_audit": (f.MintAudit, _mint_audit),
        "leases": (f.Leases, _leases), "plan": (f.Plan, plan_lines),
        "snapshots": (f.Snapshots, _snapshots), "backup": (f.BackupDone, _backup), "restore": (RestoreDone, _restore),
        "recover": (RecoverDone, recover_lines),
        "ledger": (f.Ledger, _ledger), "balance": (f.Balance, _balance),
    },
)  # fmt: skip
