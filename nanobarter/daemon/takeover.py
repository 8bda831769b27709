"""One identity, one machine: how a machine becomes the node of a phrase, and how the one before it steps down.

Restoring only reads. With ``--take-over`` a new home is made from the phrase: its database is empty, its mint begins a
new generation, so that every note and keyset of before is retired, and peers give back the rest (``rebuilding``). It
then says to all, signed by the node's key, which machine the node is from now on. A daemon of the same key on another
machine that hears it stops for good: two nodes with one key would sign against each other, and be convicted.

A machine's name is a random number in the file ``machine`` of the home, so a home that was rebuilt or put back is still
the same machine; a home from before there were names has the oldest of all.
"""

import logging
from pathlib import Path
from typing import Annotated, Final

import trio
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.durable import write_durably
from nanobarter.core.errors import LocalFault, Malformed
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey, identity_of
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.store import Store
from nanobarter.core.units import DAY, SECOND, Instant, Span, after
from nanobarter.daemon import rebuild_state
from nanobarter.daemon.config import Config
from nanobarter.daemon.home import Home
from nanobarter.daemon.rebuild_state import Rebuilt
from nanobarter.daemon.services_barter import pledge_of
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.gossip.service import Gossip
from nanobarter.mint import salvage

TAKEN_KEY: Final = b"machine"
_SPAN: Final = Span(30 * DAY)
_SAID_EVERY: Final = Span(10 * DAY)  # well before it expires: the other machine may come back at any time
_BYTES_MAX: Final = 128
_NAME_BYTES: Final = 16
_log = logging.getLogger(__name__)


class Machine(Record, frozen=True):
    """Which machine a node is, since when: the body of an item of topic ``keyset`` under the key ``machine``."""

    name: Annotated[bytes, Meta(min_length=_NAME_BYTES, max_length=_NAME_BYTES)]
    since: Instant
    taken: bool
    """Whether it took the node over from another, and must say so."""


def take_over(home: Home, config: Config, now: Instant, entropy: Entropy) -> None:
    """Make the database of a fresh home that goes on as the node of its seed. Raises LocalFault."""
    key = identity_of(home.read_seed())
    store = Store.open(home.state_path, ALL_TABLES, guarded=True)
    try:
        store.write_now(lambda db: salvage.begin_anew(db, key, now, pledge_of(config)))
        state = Rebuilt(now, "this machine took the node over", "missing", "missing")
        store.write_now(lambda db: rebuild_state.keep(db, state))
    finally:
        store.close()
    _keep(_path(home), Machine(entropy.token(_NAME_BYTES), now, taken=True))


class Claim:
    """Says which machine the node is, if it took it over, and listens whether another one did."""

    def __init__(self, *, home: Home, key: SigningKey, gossip: Gossip, clock: Clock, entropy: Entropy) -> None:
        self._home, self._key, self._gossip, self._clock = home, key, gossip, clock
        self._own = _own_machine(home, entropy)
        self._other = trio.Event()
        gossip.subscribe("keyset", self._hear)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Wait for another machine to take the node over; then raise LocalFault, now and at every later start."""
        for item in self._gossip.items("keyset"):
            self._hear(item)
        await self._say()
        task_status.started()
        while not self._other.is_set():
            with trio.move_on_after(_SAID_EVERY / SECOND):
                await self._other.wait()
            await self._say()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(write_durably, self._home.taken_path, b"")
        self._home.check_not_taken()

    async def _say(self) -> None:
        if not self._own.taken or self._other.is_set():
            return
        sequence = self._gossip.next_sequence("keyset", self._key.public, TAKEN_KEY)
        expires = after(self._clock.now(), _SPAN)
        item = make_item(self._key, "keyset", TAKEN_KEY, sequence=sequence, expires=expires, body=encode(self._own))
        refused = await self._gossip.publish(item)
        if refused is not None:
            _log.warning("that this machine is the node now is not passed on: %s", refused.detail)

    def _hear(self, item: Item) -> None:
        if item.key != TAKEN_KEY or item.node != self._key.node_id or not item.body:
            return
        try:
            said = decode(item.body, Machine, size_max=_BYTES_MAX)
        except Malformed:
            return
        if said.name != self._own.name and said.since > self._own.since:
            self._other.set()


def _path(home: Home) -> Path:
    return home.path / "machine"


def _own_machine(home: Home, entropy: Entropy) -> Machine:
    try:
        return decode(_path(home).read_bytes(), Machine, size_max=_BYTES_MAX)
    except (OSError, Malformed):
        made = Machine(entropy.token(_NAME_BYTES), Instant(0), taken=False)
        _keep(_path(home), made)
        return made


def _keep(path: Path, machine: Machine) -> None:
    try:
        write_durably(path, encode(machine))
    except OSError as error:
        raise LocalFault(f"cannot write {path}: {error.strerror}", hint="check the disk") from None
