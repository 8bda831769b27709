"""At stake: a file whose name is not text must be nameable, or it cannot be restored by itself."""

import json
import os

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.pathtext import path_bytes, printable, received, sendable


@given(st.binary().map(lambda raw: raw.replace(b"\0", b"/")))
def test_any_path_survives_json(raw: bytes) -> None:
    sent = json.dumps(sendable({"paths": [os.fsdecode(raw)], "at": 3})).encode()
    found = msgspec.json.decode(sent)
    assert found["at"] == 3
    assert path_bytes(found["paths"][0]) == raw
    assert os.fsencode(received(found["paths"][0])) == raw


def test_text_is_sent_as_it_is_and_other_bytes_can_be_printed() -> None:
    assert sendable({"a": "/home/é 🐟"}) == {"a": "/home/é 🐟"}
    assert path_bytes("/a\0") == b"/a\0"  # not of ours: refused where paths are checked
    assert path_bytes("/a\x002f") == b"/a\x002f"
    assert printable("é \udcff") == "é \\xff"
