"""The bytes of release 1: a node of another version, or another program, must read them the same way for good."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash
from nanobarter.core.item import ITEM_MAX, Item, make_item
from nanobarter.core.units import Instant
from nanobarter.gossip.messages import (
    CompareAnswer,
    CompareRequest,
    FetchRequest,
    GetRequest,
    Items,
    Listed,
    Part,
    Push,
)
from nanobarter.net.address import Address
from nanobarter.net.beacon import Beacon, make_beacon
from nanobarter.net.certificates import key_of_certificate, leaf_certificate, public_authority, public_authority_key
from nanobarter.net.checkup import CheckAnswer, CheckRequest
from nanobarter.net.frames import Kind, encode_message
from nanobarter.net.meeting import Meet, MeetMe
from nanobarter.net.messages import Bye, Credit, FailedBody, Hello, Open, Request
from nanobarter.net.records import PeersAnswer, PeersRequest, make_record
from nanobarter.net.ways import DialMe
from tests.net.nodes import key

PATH = Path(__file__).parents[1] / "vectors" / "net-wire.json"
RECORD = make_record(key(1), [Address("192.0.2.1", 7070)], sequence=7, expires=Instant(1_800_000_000_000))
ITEM = make_item(key(1), "bid", bytes(16), sequence=1, expires=Instant(1_800_000_000_000), body=b"payload")
HASH = Hash(bytes(range(32)))

RECORDS: dict[str, Record] = {
    "hello": Hello((1,), bytes(range(16)), 1, "192.0.2.1", 128, 16, {}),
    "bye": Bye(2, "all places are taken"),
    "request": Request("mint.request", 20_000, False, b"body"),
    "failed": FailedBody(1, "not served here"),
    "open": Open("storage.read", b"body"),
    "credit": Credit(131_072),
    "node record": RECORD,
    "peers request": PeersRequest(RECORD, (key(2).node_id,), 64),
    "peers answer": PeersAnswer((RECORD,)),
    "check request": CheckRequest(4773),
    "check answer": CheckAnswer(1_800_000_000_000, "192.0.2.1", 1),
    "dial me": DialMe(key(2).node_id, RECORD),
    "meet": Meet(key(2).node_id),
    "meet me": MeetMe(key(2).node_id, Address("192.0.2.1", 7070)),
    "beacon": Beacon(1, 4773),
    "item": ITEM,
    "push": Push((ITEM,), bytes(range(16)), 1),
    "compare request": CompareRequest(bytes(range(8)), (Part(0, 0, 0, b"abcd"),)),
    "compare answer": CompareAnswer((Part(0, 0, 1, b"abcdefgh"),), (Listed(7, 127, b"ijklmnop"),)),
    "fetch request": FetchRequest(bytes(range(8)), (Listed(7, 127, b"ijkl"),)),
    "get request": GetRequest(bytes(range(16))),
    "items": Items((ITEM,)),
}


def made() -> dict[str, dict[str, str]]:
    """Return every vector as this code makes it; run the file as a module to write them anew."""
    hello = b"".join(encode_message(Kind.HELLO, 0, encode(RECORDS["hello"])))
    return {
        "certificates": {
            "authority": public_authority().public_bytes(Encoding.DER).hex(),
            "leaf of key 1": leaf_certificate(key(1).public).public_bytes(Encoding.DER).hex(),
        },
        "datagrams": {"beacon of key 1": make_beacon(key(1), 4773).hex()},
        "frames": {"hello": hello.hex(), "ping": encode_message(Kind.PING, 0)[0].hex()},
        "bodies": {name: encode(record).hex() for name, record in RECORDS.items()},
    }


def test_the_bytes_are_those_of_the_first_release() -> None:
    assert made() == json.loads(PATH.read_text())


@pytest.mark.parametrize("name", RECORDS)
def test_each_body_is_read_back(name: str) -> None:
    data = bytes.fromhex(json.loads(PATH.read_text())["bodies"][name])
    record = RECORDS[name]
    assert decode(data, type(record), size_max=len(data)) == record
    for cut in range(len(data)):
        with pytest.raises(Malformed):
            decode(data[:cut], type(record), size_max=ITEM_MAX)


def test_a_leaf_names_its_key_and_the_authority_is_no_leaf() -> None:
    known = json.loads(PATH.read_text())["certificates"]
    assert key_of_certificate(bytes.fromhex(known["leaf of key 1"])) == key(1).public
    everybodys = leaf_certificate(public_authority_key()).public_bytes(Encoding.DER)
    for der in (bytes.fromhex(known["authority"]), everybodys, b"", b"\x30\x00", bytes(5000)):
        with pytest.raises(Malformed):
            key_of_certificate(der)
    tampered = bytearray.fromhex(known["leaf of key 1"])
    for i in range(len(tampered)):
        changed = bytes(tampered[:i]) + bytes([tampered[i] ^ 1]) + bytes(tampered[i + 1 :])
        with pytest.raises(Malformed):
            key_of_certificate(changed)


def test_an_item_is_one_value() -> None:
    assert isinstance(ITEM, Item)
    assert ITEM.item_id.hex() == "d9bfacee59c5fbe6d03ede4b4a720f0170d6d7f53285f54a3738806432785ff9"


if __name__ == "__main__":
    PATH.write_text(json.dumps(made(), indent=1) + "\n")
