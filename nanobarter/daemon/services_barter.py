"""The half of a node that barters: its network, its mint and wallet, agreements and the market, wired together.

See ``services`` for the whole.
"""

from dataclasses import replace
from typing import Final

import trio

from nanobarter.bots.dealing import QUOTE_SPAN
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import identity_of
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.store import Store
from nanobarter.core.units import MIB, LeaseKind, Quantity
from nanobarter.court.board import CleanBoard
from nanobarter.court.examiner import Examiner
from nanobarter.court.service import Court
from nanobarter.court.witness import Witness
from nanobarter.daemon.config import Config
from nanobarter.daemon.home import Home
from nanobarter.daemon.jobs import Jobs
from nanobarter.daemon.leaving import Leaver
from nanobarter.daemon.lookup import Directory
from nanobarter.daemon.memory import Memory, Patient
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.daemon.terms import issuers_of
from nanobarter.gossip.service import Gossip
from nanobarter.mint.heads.herald import Herald
from nanobarter.mint.service import Mint
from nanobarter.net.address import Address
from nanobarter.net.network import Network
from nanobarter.storage.excludes import Excludes
from nanobarter.swap.ended import settled_quantity
from nanobarter.swap.service import Swap
from nanobarter.swap.tables import words_kept
from nanobarter.swap.terms import SwapTimes
from nanobarter.translator.by_hand import ByHand
from nanobarter.translator.lastlook import PING, PING_BYTES_MAX, LastLook, answer_ping
from nanobarter.translator.market import Market
from nanobarter.translator.market_ports import PARTNERS_MAX, PATIENCE, RETRY, Pace
from nanobarter.wallet.service import Wallet

SERVICE_TERMS: Final = b"nanobarter/1: bytes are charged as stored; reads by the holder are free; grace after the end"


def pick_kind(config: Config) -> LeaseKind:
    """Return the kind of lease that the folders are kept under: the first that is offered, so that par holds."""
    return config.offer.lease_kinds[0]


def pledge_of(config: Config) -> dict[LeaseKind, Quantity]:
    """Return the offered space of each kind, in MiB."""
    return {kind: Quantity(size // MIB) for kind, size in config.offer.pledges.items()}


def times_of(config: Config) -> SwapTimes:
    """Return the clock of an agreement as configured."""
    swap = config.swap
    return SwapTimes(swap.approve_span, swap.lock_span, swap.vote_span, swap.delta_span, ask=swap.ask_span)


def excludes_of(config: Config, home: Home) -> Excludes:
    """Return what a backup leaves out: the person's patterns, and the node's own home."""
    return Excludes(config.backup.exclude, absolute=(home.path,))


class Barter:
    """What every service stands on, and the services that barter."""

    def __init__(self, home: Home, config: Config, *, clock: Clock, entropy: Entropy, limits: Limits) -> None:
        seed = home.read_seed()
        # The config says within which span every share is proven, and when a silent peer's shares stop counting.
        limits = replace(limits, audit_cover=config.audit.period_span, audit_offline=config.audit.grace_span)
        self.home, self.config, self.clock, self.entropy, self.limits = home, config, clock, entropy, limits
        self.started_at = trio.current_time()
        self.key = identity_of(seed)
        self.me: NodeId = self.key.node_id
        self.kind = pick_kind(config)
        self.excludes = excludes_of(config, home)
        home.check_database()
        self.store = Store.open(home.state_path, ALL_TABLES, limits, guarded=True)
        self.network = Network(
            key=self.key,
            listen=Address(*config.network.listen_address),
            bootstrap=[Address(*where) for where in config.network.bootstrap_addresses],
            store=self.store,
            clock=clock,
            entropy=entropy,
            limits=limits,
            same_host_ok=config.network.same_host_ok,
        )
        self.network.circle.keep_to(config.network.friend_nodes, only=config.network.peers == "only")
        reach = self.network.reach
        reach.go_through(config.network.proxy)
        reach.relay_for(config.network.relay)
        if config.network.lan and not config.network.proxy and not config.network.same_host_ok:
            reach.find_neighbours()  # not while hidden, and not where nodes of one machine play many
        if config.network.map_port and not (config.network.advertise or config.network.proxy):
            reach.map_port()
        self.network.advertise([Address(*where) for where in config.network.advertised_addresses])
        self.directory = Directory(
            network=self.network,
            key=self.key,
            clock=clock,
            entropy=entropy,
            limits=limits,
            same_host_ok=config.network.same_host_ok,
            wanted=config.network.dht and not config.network.proxy,
        )
        self.jobs = Jobs()
        self._build_barter(seed)

    def _build_barter(self, seed: bytes) -> None:
        store, key, clock, entropy, limits = self.store, self.key, self.clock, self.entropy, self.limits
        admits = self.network.circle.admits
        self.gossip = Gossip(
            network=self.network,
            store=store,
            clock=clock,
            entropy=entropy,
            limits=limits,
            admits=admits,
            prefers=self.network.is_placed,
        )
        self.leaver = Leaver(store=store, gossip=self.gossip, key=key, clock=clock, changed=self._leaving_changed)
        self.court = Court(store=store, board=self.gossip, clock=clock, limits=limits)
        self.witness = Witness(self.network, self.court.accuse, limits)
        self.witness.recall(*store.read_now(words_kept))
        self.memory = Memory(
            home=self.home,
            store=store,
            key=key,
            network=self.network,
            gossip=self.gossip,
            clock=clock,
            limits=limits,
            delta=self.config.swap.delta_span,
        )
        self.mint = Mint(
            store=store,
            key=key,
            clock=clock,
            entropy=entropy,
            limits=limits,
            pledged=pledge_of(self.config),
            service_terms=SERVICE_TERMS,
            heard=lambda: bool(self.network.connected()),
            remembers=self.memory.settled,
        )
        self.herald = Herald(
            store=store,
            key=key,
            caller=self.network,
            registrar=self.network,
            connected=self.network.connected,
            clock=clock,
            limits=limits,
        )
        self.herald.observe_caught(self.court.accuse)
        self.wallet = Wallet(
            store=store,
            seed=seed,
            key=key,
            caller=self.witness,
            clock=clock,
            entropy=entropy,
            limits=limits,
            free_own=self._free_own,
        )
        self.examiner = Examiner(
            caller=self.network,
            mints=self.wallet.remembrance.mints,
            remembered=self.wallet.remembrance.of,
            accuse=self.court.accuse,
            clock=clock,
            entropy=entropy,
            limits=limits,
        )
        self.look = LastLook(self.network, self._shuns, quiet=self.memory.quarantined)
        self.swap = Swap(
            store=store,
            key=key,
            caller=self.witness,
            registrar=self.witness,
            mint=self.mint,
            wallet=self.wallet,
            clock=clock,
            entropy=entropy,
            limits=limits,
            times=times_of(self.config),
            policy=self.look,
        )
        self.market = Market(
            board=CleanBoard(self.gossip, self.court, self.me),
            proposer=Patient(self.swap, self.memory),
            drawer=ByHand(store, self.me, settled_quantity),
            key=key,
            clock=clock,
            entropy=entropy,
            limits=limits,
            pace=Pace(
                self.config.market.bid_lifetime,
                PATIENCE,
                RETRY,
                PARTNERS_MAX,
                asks=self.config.market.asks_above,
                ask=self.config.swap.ask_span,
                quote_span=QUOTE_SPAN,
                issuers=issuers_of(self.config),
            ),
        )
        self.look.attach(self.market)
        self.memory.attach(self.mint, self.wallet, self.herald)
        self.network.add("mint.request", self.memory.gated(self.mint.handle), body_max=limits.request_bytes_max)
        self.network.add("mint.announcements", self.mint.announcements, body_max=PING_BYTES_MAX)
        self.network.add(PING, answer_ping, body_max=PING_BYTES_MAX)

    def _leaving_changed(self) -> None:
        """Hear that this node begins to leave, or stays after all."""

    def unpromised(self, kind: LeaseKind) -> Quantity:
        """Return how much of what is pledged of a kind is promised to nobody."""
        return next((c.free for c in self.mint.capacity() if c.kind == kind), Quantity(0))

    def _free_own(self, kind: LeaseKind) -> Quantity:
        return Quantity(0) if self.leaver.leaving else self.unpromised(kind)  # then it is promised to nobody any more

    def _shuns(self, node: NodeId) -> bool:
        """Tell whether a node is convicted or exposed, so that its notes count for nothing; its leases run on."""
        return node != self.me and (self.court.convicted(node) or self.memory.exposed(node))
