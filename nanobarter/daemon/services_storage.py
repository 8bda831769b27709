"""The half of a node that stores: others' shares in its vault, and its own at others. See ``services``."""

from collections.abc import Collection, Iterable
from typing import Final

import trio
from msgspec.structs import replace

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.units import Quantity, Span
from nanobarter.daemon.config import Config
from nanobarter.daemon.holdings import held_of
from nanobarter.daemon.home import Home
from nanobarter.daemon.leaving import Leavers
from nanobarter.daemon.localtime import local_minute
from nanobarter.daemon.lookup import pointer_value
from nanobarter.daemon.proofs import Proofs
from nanobarter.daemon.rebuilding import Rebuilding
from nanobarter.daemon.services_barter import Barter
from nanobarter.net.dht.records import Value
from nanobarter.storage.audit import Auditor
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.geometry import Geometry, of_durability
from nanobarter.storage.health import passed_over
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.leases import LeaseBook
from nanobarter.storage.leaving import Closing
from nanobarter.storage.placement import Placer
from nanobarter.storage.publish import Publisher
from nanobarter.storage.recovery import reader_for
from nanobarter.storage.repair import Repairer
from nanobarter.storage.throttle import Rates, Throttle
from nanobarter.storage.vault import Vault
from nanobarter.storage.vault_finding import LeaseFinder
from nanobarter.translator.plan import Held
from nanobarter.translator.watch import Watch

_PROVE_SECONDS: Final = 600.0  # after that a silent peer's shares are stored elsewhere, as always
_PROVE_AGAIN_SECONDS: Final = 5.0


class Storage(Barter):
    """The services of ``Barter``, and those that store."""

    def __init__(self, home: Home, config: Config, *, clock: Clock, entropy: Entropy, limits: Limits) -> None:
        super().__init__(home, config, clock=clock, entropy=entropy, limits=limits)
        self._build_storage()

    def _build_storage(self) -> None:
        store, clock, limits = self.store, self.clock, self.limits
        self.watch = Watch(store=store, clock=clock, limits=limits, me=self.me)
        same_host_ok = self.config.network.same_host_ok
        self.vault_keys = VaultKeys.from_seed(self.home.read_seed())
        self.vault = Vault(
            home=self.home.path, store=store, key=self.key, lease=self.mint.lease, clock=clock, limits=limits
        )
        self.memory.waits = lambda: self.vault.waiting() > 0
        self.rates = Rates(
            upload=lambda: self._limited(self.config.network.upload_rate),
            download=lambda: self._limited(self.config.network.download_rate),
        )
        self.line = Throttle(self.network, self.rates, limits)
        self.vault.register(Closing(self.line, lambda: self.leaver.leaving))
        LeaseFinder(store=store, node=self.me, clock=clock, limits=limits).register(self.line)
        self.leavers = Leavers(self.gossip, self.me, self._repair_soon)
        holder = self.vault_keys.signing
        self.leases = LeaseBook(store=store, source=self.wallet, holder=holder, clock=clock, limits=limits)
        self.leases.on = lambda: self.watch.own_share() or 1.0
        self.reader = reader_for(
            keys=self.vault_keys,
            network=self.line,
            store=store,
            clock=clock,
            entropy=self.entropy,
            limits=limits,
        )
        self.placer = Placer(
            store=store,
            keys=self.vault_keys,
            leases=self.leases,
            reader=self.reader,
            limits=limits,
            same_host_ok=same_host_ok,
            leaving=self.deserted,
        )
        self.publisher = Publisher(
            store=store,
            keys=self.vault_keys,
            leases=self.leases,
            placer=self.placer,
            reader=self.reader,
            entropy=self.entropy,
            limits=limits,
        )
        self.auditor = Auditor(
            store=store,
            leases=self.leases,
            client=self.reader.client,
            clock=clock,
            entropy=self.entropy,
            limits=limits,
            period=Span(min(limits.audit_period, limits.audit_cover // 4)),
            caught=self._repair_soon,
        )
        self.auditor.observe(self._judged)
        self.auditor.accuse_before(self.court.accuse)
        self.repairer = Repairer(
            store=store,
            leases=self.leases,
            placer=self.placer,
            clock=clock,
            limits=limits,
            moved=self.publish_catalog,
            catch_up=self.publisher.catch_up,
            leaving=self.deserted,
        )
        self.repairer.try_out(self.strangers)
        self.met_at = dict[NodeId, float]()  # when each peer that is connected did so
        self.network.on_connect(self._peer_connected)
        self._pointed = frozenset[NodeId]()
        self.directory.tell(self._pointer)
        self.catalog = Catalog(store, limits)
        self.rebuilding = Rebuilding(
            store=store,
            keys=self.vault_keys,
            network=self.line,
            wallet=self.wallet,
            catalog=self.catalog,
            scratch=self.home.spool_path,
            clock=clock,
            entropy=self.entropy,
            limits=limits,
        )
        self.proofs = Proofs(store, self.auditor, self.leavers.now, lambda: self.rebuilding.index_is_here)

    async def _judged(self, node: NodeId, right: bool | None) -> None:  # noqa: FBT001 - the auditor's one word
        await self.watch.audit(node, proven=right)

    async def _repair_once_whole(self) -> None:
        was_whole = self.rebuilding.index_is_here
        await self.rebuilding.wait_whole()
        if not was_whole:
            await self._let_peers_prove()
        await self.repairer.run()

    async def _let_peers_prove(self) -> None:
        """Ask for every share until all peers have answered: an index from peers has no proofs, yet nothing is lost.

        Peers that were rebuilt themselves need a moment to be shown what they owe.
        """
        with trio.move_on_after(_PROVE_SECONDS):
            while True:
                if not (await self.auditor.round_now(everything=True)).silent:
                    return
                await trio.sleep(_PROVE_AGAIN_SECONDS)

    def limits_hold(self) -> bool:
        """Tell whether the limits of bandwidth hold at this hour."""
        return self.config.network.limited_hours.has(local_minute(self.clock.now()))

    def _limited(self, rate: int | None) -> int | None:
        return rate if rate and self.limits_hold() else None

    def _repair_soon(self) -> None:
        self.repairer.wake()

    def _peer_connected(self, node: NodeId) -> None:
        here = set(self.network.connected())
        self.met_at = {node: trio.current_time(), **{n: at for n, at in self.met_at.items() if n in here and n != node}}
        if self.reader.rests.end(node):
            self.repairer.wake()  # something was to be done there when it failed

    def unwanted(self) -> Collection[NodeId]:
        """Return the peers that proved too bad to keep anything for us, as far as there are others."""
        return ()

    def strangers(self) -> Collection[NodeId]:
        """Return the peers that are to be tried out beside a whole plan."""
        return ()

    def deserted(self) -> set[NodeId]:
        """Return the peers from which our shares move away, and whose leases run out."""
        return {*self.leavers.now(), *self.unwanted()}

    def avoided(self) -> set[NodeId]:
        """Return the peers whose space is not counted on: gone, caught, leaving, or without room for what they owe."""
        return self._avoided(self.owed())

    def _avoided(self, owed: Iterable[NodeId]) -> set[NodeId]:
        useless = {*self.leases.full(), *self.leavers.now()}
        known = {*owed, *self.market.offering()} - useless
        return useless | passed_over(self.auditor.forsaken, known, self.network.connected())

    def owed(self) -> dict[NodeId, Held]:
        """Return what each issuer owes us, whether or not it can be counted on; notes of convicts are worth nothing."""
        found = held_of(self.wallet, self.leases, self.kind, self.me, self.clock.now(), self.limits)
        nothing = Quantity(0)
        return {node: replace(held, notes=nothing) if self._shuns(node) else held for node, held in found.items()}

    def held(self) -> dict[NodeId, Held]:
        """Return what each issuer owes us; who is gone, was caught or leaves owes nothing, so that others are asked."""
        owed = self.owed()
        avoided = self._avoided(owed)
        return {node: held for node, held in owed.items() if node not in avoided}

    def geometry(self, peers: int) -> Geometry:
        """Return the code for so many distinct issuers, at the durability of the config."""
        return of_durability(peers, high=self.config.backup.durability == "high")

    async def publish_catalog(self) -> None:
        """Tell every holder where all packs are now, so that the phrase alone finds them."""
        self.rebuilding.demand()
        policies = await trio.to_thread.run_sync(self.home.read_policies)
        await self.publisher.publish(await self.catalog.export(), policies, await self.catalog.replaced())
        if frozenset(holder.node for holder in self.publisher.holders()) != self._pointed:
            self.directory.tell_again()

    def _pointer(self) -> Value | None:
        holders = self.publisher.holders()
        self._pointed = frozenset(holder.node for holder in holders)
        return pointer_value(self.vault_keys, holders, self.clock, self.entropy)
