"""One request to one vault, and the two that need no lease: which leases are there, and the head under a name."""

from typing import Final

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, PeerFault, Reason
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Body, Caller, Clock, Entropy
from nanobarter.core.units import Span
from nanobarter.storage.vault_bytes import read_answer
from nanobarter.storage.vault_messages import (
    DOMAIN_FIND,
    ENVELOPE_BYTES,
    Answer,
    FindLeases,
    FoundLease,
    GetHead,
    HeadAnswer,
    Leases,
    Refusal,
)

FOUND_LEASE_BYTES: Final = 64  # one of a list of leases: an id and two numbers


async def call(caller: Caller, node: NodeId, method: str, body: Body, *, timeout: Span, size_max: int) -> Answer:
    """Return a vault's answer to one request. Raises Unreachable, and PeerFault when it cannot be read."""
    data = await caller.call(node, method, body, timeout=timeout, priority="bulk")
    try:
        return read_answer(data, size_max)
    except Malformed as error:
        raise PeerFault(f"the answer to {method} cannot be read: {error}", evidence=data[:ENVELOPE_BYTES]) from None


async def find_leases(
    caller: Caller, node: NodeId, holder: SigningKey, *, clock: Clock, entropy: Entropy, limits: Limits
) -> list[FoundLease]:
    """Return the leases under which a peer keeps something of this holder. Raises Unreachable and PeerFault."""
    found = list[FoundLease]()
    size_max = ENVELOPE_BYTES + limits.vault_list_max * FOUND_LEASE_BYTES
    while len(found) < limits.recovery_leases_max:
        after = found[-1].lease if found else b""
        ask = seal_signed(holder, DOMAIN_FIND, FindLeases(node, clock.now(), entropy.token(16), after))
        answer = await call(caller, node, "storage.leases", encode(ask), timeout=limits.call_timeout, size_max=size_max)
        if not isinstance(answer, Leases):
            raise PeerFault("the answer is not a list of leases", evidence=encode(answer))
        if any(one.lease <= after for one in answer.leases):
            raise PeerFault("the list of leases does not go on", evidence=encode(answer))
        found += answer.leases
        if not answer.more or not answer.leases:
            break
    return found


async def get_head(caller: Caller, node: NodeId, head_id: Hash, limits: Limits) -> Signed | None:
    """Return the head that a peer keeps under this name, unchecked. Raises Unreachable and PeerFault."""
    answer = await call(
        caller,
        node,
        "storage.head.get",
        encode(GetHead(head_id)),
        timeout=limits.call_timeout,
        size_max=ENVELOPE_BYTES + limits.vault_head_bytes_max,
    )
    if isinstance(answer, Refusal) and answer.reason == Reason.NOT_FOUND:
        return None
    if not isinstance(answer, HeadAnswer):
        raise PeerFault("the answer is not a head", evidence=encode(answer))
    return answer.head
