"""Tells a holder who has nothing but the key which leases it has here: the way in when every vault head is lost.

The key signs a question for this vault and this moment, so nobody learns of another's leases, and a question that was
overheard is worth nothing elsewhere or later. It changes nothing, so a repeat within minutes is only answered again.
"""

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed, verify
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock, Registrar
from nanobarter.core.store import Store
from nanobarter.core.units import span_between
from nanobarter.storage import vault_rows as rows
from nanobarter.storage.vault_messages import DOMAIN_FIND, ENVELOPE_BYTES, Answer, FindLeases, Leases, Refusal

FIND: str = "storage.leases"


class LeaseFinder:
    """Serves ``storage.leases`` over the tables of the vault."""

    def __init__(self, *, store: Store, node: NodeId, clock: Clock, limits: Limits = LIMITS) -> None:
        self._store = store
        self._node = node
        self._clock = clock
        self._limits = limits

    def register(self, registrar: Registrar) -> None:
        """Serve the method."""
        registrar.add(FIND, self._handle, body_max=ENVELOPE_BYTES)

    async def _handle(self, _peer: NodeId, body: bytes) -> bytes:
        return encode(await self._answer(decode(body, Signed, size_max=ENVELOPE_BYTES)))

    async def _answer(self, signed: Signed) -> Answer:
        asked = decode(signed.body, FindLeases, size_max=ENVELOPE_BYTES)
        if not verify(signed.key, DOMAIN_FIND, signed.body, signed.signature):
            return Refusal(Reason.BAD_SIGNATURE, "the question is not signed by its key")
        if asked.node != self._node:
            return Refusal(Reason.WRONG_MINT, "this question is for another node")
        now, skew = self._clock.now(), self._limits.vault_skew_max
        if span_between(asked.at, now) > skew or span_between(now, asked.at) > skew:
            return Refusal(Reason.CLOCK_OFF, f"the question was made at {asked.at}, and here it is {now}")
        count = self._limits.vault_list_max
        found = await self._store.read(lambda db: rows.leases_of(db, signed.key, asked.after, count + 1))
        return Leases(tuple(found[:count]), len(found) > count)
