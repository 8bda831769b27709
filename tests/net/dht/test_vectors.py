"""The bytes of release 1 of the table: another version, or another program, must read them the same way for good."""

import json
from pathlib import Path

import pytest

from nanobarter.core.errors import Malformed
from nanobarter.core.units import Instant
from nanobarter.net.dht.records import SALT_MAX, VALUE_MAX, is_good, make_value
from nanobarter.net.dht.wire import (
    CONTACTS_MAX,
    DATAGRAM_MAX,
    Contact,
    Find,
    Found,
    Message,
    Put,
    Sealed,
    fitting,
    seal,
)
from tests.net.dht.nodes import key

PATH = Path(__file__).parents[2] / "vectors" / "net-dht.json"
NOW = Instant(1_800_000_000_000)
VALUE = make_value(key(1), b"salt", sequence=7, expires=Instant(NOW + 1000), body=b"body")
NEAR = Contact(key(2).node_id, bytes([192, 0, 2, 1]), 7070)
MESSAGES: dict[str, Message] = {
    "find": Find(bytes(range(8)), None, bytes(range(20)), b""),
    "put": Put(bytes(range(8)), key(2).node_id, bytes(range(8)), VALUE, b""),
    "found": Found(bytes(range(8)), bytes(8), VALUE, (NEAR,)),
}


def made() -> dict[str, str]:
    """Return every vector as this code makes it; run the file as a module to write them anew."""
    return {name: seal(key(1), message).hex() for name, message in MESSAGES.items()}


def test_the_bytes_are_those_of_the_first_release() -> None:
    assert made() == json.loads(PATH.read_text())


@pytest.mark.parametrize("name", MESSAGES)
def test_each_is_read_back_and_no_part_of_it_is(name: str) -> None:
    data = bytes.fromhex(json.loads(PATH.read_text())[name])
    sealed = Sealed(data)
    assert sealed.is_genuine()
    assert sealed.node == key(1).node_id
    assert type(sealed.message) is type(MESSAGES[name])
    assert name == "found" or len(data) >= DATAGRAM_MAX - 2  # padded, so that no answer is longer
    for cut in range(len(data)):
        with pytest.raises(Malformed):
            Sealed(data[:cut])
    for at in range(32, 96):
        assert not Sealed(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]).is_genuine()


def test_the_longest_value_and_the_longest_answer_fit() -> None:
    longest = make_value(key(1), bytes(SALT_MAX), sequence=2**62, expires=NOW, body=bytes(VALUE_MAX))
    assert len(seal(key(1), Put(bytes(8), key(2).node_id, bytes(8), longest, b""))) <= DATAGRAM_MAX
    far = Contact(key(2).node_id, bytes(range(16)), 65535)
    whole = fitting(Found(bytes(8), bytes(8), None, (far,) * CONTACTS_MAX))
    assert len(whole.contacts) == CONTACTS_MAX
    assert len(seal(key(1), whole)) <= len(seal(key(1), MESSAGES["find"]))
    assert len(seal(key(1), fitting(Found(bytes(8), bytes(8), longest, (far,) * CONTACTS_MAX)))) <= DATAGRAM_MAX - 2


def test_a_value_is_good_only_in_its_place_and_time() -> None:
    assert is_good(VALUE, VALUE.place, NOW)
    assert not is_good(VALUE, bytes(20), NOW)
    assert not is_good(VALUE, VALUE.place, VALUE.expires)


if __name__ == "__main__":
    PATH.write_text(json.dumps(made(), indent=1) + "\n")
