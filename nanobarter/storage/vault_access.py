"""Who may do what at a vault: the judgement of one ask, before anything is touched. Pure."""

from collections import OrderedDict
from dataclasses import dataclass

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import NodeId, PublicKey
from nanobarter.core.keys import Signed, verify
from nanobarter.core.units import MIB, Instant, Span, after, span_between
from nanobarter.mint.answer_messages import Contract
from nanobarter.storage.vault_messages import (
    DOMAIN_ASK,
    ENVELOPE_BYTES,
    Allocate,
    Ask,
    Commit,
    Delete,
    Place,
    PutHead,
    Write,
)
from nanobarter.storage.vault_rows import Lease


@dataclass(frozen=True)
class Rules:
    """What the judgement depends on besides the ask and the lease."""

    node: NodeId
    now: Instant
    skew_max: Span
    grace: Span


def lease_of(contract: Contract) -> Lease:
    """Return what the vault needs of a contract: its quantity is in MiB."""
    terms = contract.terms
    return Lease(contract.lease_id, terms.holder, terms.quantity * MIB, contract.end)


def read_ask(signed: Signed, head_bytes_max: int) -> Ask | Refused:
    """Return the ask inside, if its key signed it. Raises Malformed when it is none."""
    ask = decode(signed.body, Ask, size_max=ENVELOPE_BYTES + head_bytes_max)
    if not verify(signed.key, DOMAIN_ASK, signed.body, signed.signature):
        return Refused(Reason.BAD_SIGNATURE, "the ask is not signed by its key")
    return ask


def judge(ask: Ask, key: PublicKey, lease: Lease | None, rules: Rules) -> Lease | Refused:
    """Return the lease under which the ask may go on.

    An ask for another vault, from another time, or by another key than the lease's holder is refused. After its end
    a lease is read-only for the grace, then nothing.
    """
    if ask.node != rules.node:
        return Refused(Reason.WRONG_MINT, "this ask is for another node")
    if span_between(ask.at, rules.now) > rules.skew_max or span_between(rules.now, ask.at) > rules.skew_max:
        return Refused(Reason.CLOCK_OFF, f"the ask was made at {ask.at}, and here it is {rules.now}")
    if lease is None:
        return Refused(Reason.UNKNOWN_LEASE, "there is no such lease here")
    if lease.holder != key:
        return Refused(Reason.NOT_OWNER, "the lease is held by another key")
    grows = isinstance(ask.deed, Allocate | Write | Commit | Place | PutHead)
    if rules.now >= (lease.ends_at if grows else after(lease.ends_at, rules.grace)):
        return Refused(Reason.EXPIRED, f"the lease ended at {lease.ends_at}")
    return lease


def remembered(ask: Ask) -> bool:
    """Tell whether a second coming of this very ask must be refused: repeats of the others change nothing."""
    return isinstance(ask.deed, Allocate | Delete | Place | PutHead)


class Nonces:
    """The asks of the last minutes that were acted on. At most ``count_max``; the oldest give way."""

    def __init__(self, count_max: int) -> None:
        self._seen = OrderedDict[bytes, None]()
        self._count_max = count_max

    def fresh(self, key: PublicKey, nonce: bytes) -> bool:
        """Note a nonce of a key; False when it was noted before."""
        name = key + nonce
        if name in self._seen:
            return False
        self._seen[name] = None
        if len(self._seen) > self._count_max:
            self._seen.popitem(last=False)
        return True
