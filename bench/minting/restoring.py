"""Finding notes again from the phrase: a wallet that has nothing but its seed asks a mint for all it ever signed."""

import os
import time
from pathlib import Path

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.ids import sha256
from nanobarter.core.keys import SigningKey
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.core.units import MINUTE, Instant, LeaseKind, Quantity
from nanobarter.mint.answer_messages import Minted, open_answer
from nanobarter.mint.messages import IssueBody, make_request, request_id_of
from nanobarter.mint.service import Mint
from nanobarter.mint.tables import MIGRATIONS as MINT_TABLES
from nanobarter.net.memory import MemoryNetwork
from nanobarter.wallet.courier import blind_coins
from nanobarter.wallet.secrets import Coin
from nanobarter.wallet.service import Wallet
from nanobarter.wallet.tables import MIGRATIONS as WALLET_TABLES

KIND = LeaseKind("30d")
_SEED = sha256(b"bench") * 2
_TOGETHER = 64


async def restore_cpu(folder: Path, count: int) -> float:
    """Return the CPU-seconds, of wallet and mint together, in which ``count`` notes of 1 MiB come back."""
    node, owner, hub = SigningKey(os.urandom(32)), SigningKey(os.urandom(32)), MemoryNetwork()
    there, here = Store.open(folder / "mint", MINT_TABLES), Store.open(folder / "wallet", WALLET_TABLES)
    clock, entropy = SystemClock(), SystemEntropy()
    async with trio.open_nursery() as nursery:
        await nursery.start(there.run)
        await nursery.start(here.run)
        pledged = {KIND: Quantity(count)}
        mint = Mint(store=there, key=node, clock=clock, entropy=entropy, pledged=pledged, service_terms=b"bench")
        await mint.start()
        await nursery.start(mint.run)
        await _issue(mint, node, count)
        net = hub.node(node)
        net.add("mint.request", mint.handle, body_max=128 * 1024)
        net.add("mint.announcements", mint.announcements, body_max=64)
        wallet = Wallet(store=here, seed=_SEED, key=owner, caller=hub.node(owner), clock=clock, entropy=entropy)
        started = time.process_time()
        found = await wallet.restore(node.node_id)
        spent = time.process_time() - started
        nursery.cancel_scope.cancel()
    there.close()
    here.close()
    if found != count:
        raise RuntimeError(f"{found} of {count} notes came back")
    return spent


async def _issue(mint: Mint, node: SigningKey, count: int) -> None:
    keyset = mint.usable()[0]
    until = Instant(SystemClock().now() + 10 * MINUTE)
    for first in range(0, count, _TOGETHER):
        coins = [Coin(keyset.keyset_id, Quantity(1), n) for n in range(first, min(first + _TOGETHER, count))]
        request = make_request(IssueBody(node.node_id, until, blind_coins(_SEED, keyset, coins)), [node])
        answer = await mint.handle(node.node_id, encode(request))
        if not isinstance(open_answer(answer, node.node_id, request_id_of(request.body))[1], Minted):
            raise TypeError("the mint refused")
