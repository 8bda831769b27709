"""The pointer to the head lies with strangers: it must lead its owner back, and tell nobody else anything."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.system import SeededEntropy
from nanobarter.net.dht.records import VALUE_MAX
from nanobarter.storage.head import NodeAddress
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.pointer import BODY_BYTES, open_pointer, pointer_key, seal_pointer

KEYS, OTHERS = VaultKeys.from_seed(b"seed" * 16), VaultKeys.from_seed(b"else" * 16)
GOLDEN = Path(__file__).parent.parent / "vectors" / "storage-net-pointer.json"
HOLDERS = [NodeAddress(NodeId(bytes([number]) * 32), f"192.0.2.{number}", 4773) for number in range(1, 6)]


def made(holders: list[NodeAddress]) -> bytes:
    return seal_pointer(KEYS, holders, SeededEntropy(1, "pointer"))


@given(st.lists(st.tuples(st.text("abc.-", min_size=1, max_size=255), st.integers(1, 65535)), max_size=40))
def test_it_always_has_one_length_and_names_the_first_that_fit(where: list[tuple[str, int]]) -> None:
    holders = [NodeAddress(NodeId(sha256(host.encode())), host, port) for host, port in where]
    body = made(holders)
    assert len(body) == BODY_BYTES <= VALUE_MAX
    named = open_pointer(KEYS, body)
    assert list(named) == holders[: len(named)]


def test_a_dozen_holders_at_numbers_fit() -> None:
    holders = [NodeAddress(NodeId(bytes([n]) * 32), f"203.0.113.{n}", 4773) for n in range(100, 140)]
    assert len(open_pointer(KEYS, made(holders))) >= 12


def test_only_the_vaults_keys_open_it_and_nothing_in_it_is_seen() -> None:
    body = made(HOLDERS)
    for holder in HOLDERS:
        assert holder.node not in body
        assert holder.host.encode() not in body
    with pytest.raises(Malformed):
        open_pointer(OTHERS, body)
    for bad in (b"", body[:-1], body + b"\x00", *(body[:i] + bytes([body[i] ^ 1]) + body[i + 1 :] for i in range(768))):
        with pytest.raises(Malformed):
            open_pointer(KEYS, bad)
    known = {KEYS.signing.public, KEYS.head.public, KEYS.hpke_public.public_bytes_raw()}
    assert pointer_key(KEYS).public not in known


def test_the_bytes_are_those_of_the_first_release() -> None:
    known = json.loads(GOLDEN.read_text())
    assert pointer_key(KEYS).public.hex() == known["key"]
    assert made(HOLDERS).hex() == known["body"]
    assert list(open_pointer(KEYS, bytes.fromhex(known["body"]))) == HOLDERS


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({"key": pointer_key(KEYS).public.hex(), "body": made(HOLDERS).hex()}, indent=1) + "\n")
