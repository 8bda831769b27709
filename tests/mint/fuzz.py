"""``python -m tests.mint.fuzz --runs N --seed S``: whatever bytes come, a reader gives a value or Malformed.

Every message of the mint and the wallet is mutated and read by the code that reads it in life. Of some, the frames
that carry it over a connection are mutated too, and fed to the decoder whole and byte by byte. Message number i of a
seed is always the same: ``--first i --runs 1`` shows it alone.
"""

import json
import random
import sys
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, cast

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, UsageError
from nanobarter.core.ids import RequestId, sha256
from nanobarter.core.keys import Signed
from nanobarter.mint.answer_messages import ANSWER_BYTES_MAX, Answer, Contract, Leased, LockAnswer, Locked, open_answer
from nanobarter.mint.desk import read_case
from nanobarter.mint.messages import (
    DOMAIN_ANNOUNCEMENT,
    REQUEST_BYTES_MAX,
    Announcement,
    BlindOutput,
    Body,
    Note,
    Request,
)
from nanobarter.mint.notes import Keyset, check_announcement, verify_note
from nanobarter.mint.proofs.heads import Head
from nanobarter.mint.proofs.records import PROOF_BYTES_MAX, MintProof
from nanobarter.mint.receipts import shows_settled
from nanobarter.net.frames import FrameDecoder, Kind, Message, encode_message
from nanobarter.wallet.token import parse_token
from tests import fuzzing
from tests.fuzzing import SIGNED, Sample, Told, mutate, outcome
from tests.mint.golden import terms
from tests.mint.purse import NODE

VECTORS: Final = Path(__file__).parents[1] / "vectors"
FRAMED: Final = 100  # one message of so many goes through the frames as well


def _signed(kind: object, data: bytes) -> object:
    """Read a signed record and what is in it, as if the signature were good: a signer may sign anything."""
    return decode(decode(data, Signed, size_max=ANSWER_BYTES_MAX).body, cast("Any", kind), size_max=ANSWER_BYTES_MAX)


def _token(data: bytes) -> object:
    try:
        return parse_token(data.decode("utf-8", errors="replace"))
    except UsageError as error:
        raise Malformed(str(error)) from None


def _note(data: bytes) -> object:
    note = decode(data, Note, size_max=400)
    return note, verify_note(note, _keyset())


def _receipt(data: bytes) -> object:
    signed = decode(data, Signed, size_max=ANSWER_BYTES_MAX)
    lock = terms()
    return signed, shows_settled(signed, NODE.public, lock.agreement, lock.lock_id)


def _announced(data: bytes) -> object:
    return [check_announcement(s) for s in decode(data, tuple[Signed, ...], size_max=2**20)]


def _resign(domain: str, data: bytes) -> bytes:
    return encode(Signed(data, NODE.public, NODE.sign(domain, data)))


@cache
def _keyset() -> Keyset:
    stored = json.loads((VECTORS / "mint-messages.json").read_text())
    return check_announcement(decode(bytes.fromhex(stored["announcement"]), Signed, size_max=2**14))


@cache
def samples() -> tuple[Sample, ...]:
    """Return one of each message that a stranger can send."""
    return tuple(_samples())


def _samples() -> Iterator[Sample]:
    stored = {n: bytes.fromhex(x) for n, x in json.loads((VECTORS / "mint-messages.json").read_text()).items()}
    of_nothing, asked = RequestId(bytes(32)), RequestId(sha256(b"request"))
    for name, data in stored.items():
        if name.startswith("request "):
            yield Sample(name, data, read_case)
            body = decode(data, Request, size_max=REQUEST_BYTES_MAX).body
            yield Sample(f"body {name[8:]}", body, partial(decode, kind=cast("Any", Body), size_max=REQUEST_BYTES_MAX))
        if name.startswith("answer "):
            signed = decode(data, Signed, size_max=ANSWER_BYTES_MAX)
            request = of_nothing if name == "answer lockstate" else asked
            yield Sample(name, data, partial(_signed, Answer))
            yield Sample(
                f"opened {name}",
                signed.body,
                partial(open_answer, mint=NODE.node_id, request=request),
                partial(_resign, "mint/answer"),
            )
    yield Sample("receipt", stored["answer lockstate"], _receipt)
    answer = decode(decode(stored["answer lock"], Signed, size_max=9999).body, LockAnswer, size_max=9999)
    yield Sample("locked", encode(answer.locked), partial(_signed, Locked))
    leased = cast("Leased", _signed(Answer, stored["answer leased"]))
    yield Sample("contract", encode(leased.contract), partial(_signed, Contract))
    yield Sample("announcement", stored["announcement"], partial(_signed, Announcement))
    announced = decode(stored["announcement"], Signed, size_max=2**14)
    yield Sample(
        "announced",
        announced.body,
        lambda data: check_announcement(decode(data, Signed, size_max=2**14)),
        partial(_resign, DOMAIN_ANNOUNCEMENT),
    )
    yield Sample("announcements", encode((announced, announced)), _announced)
    yield Sample("note", stored["note"], _note)
    yield Sample("output", stored["output"], partial(decode, kind=BlindOutput, size_max=400))
    yield Sample("line of text", json.loads((VECTORS / "wallet-token.json").read_text())["text"].encode(), _token)
    proofs = {n: bytes.fromhex(x) for n, x in json.loads((VECTORS / "mint-proofs.json").read_text()).items()}
    yield Sample("head", proofs.pop("signed head"), partial(_signed, Head))
    for name, data in proofs.items():
        if name.startswith("proof"):
            yield Sample(name, data, partial(decode, kind=cast("Any", MintProof), size_max=PROOF_BYTES_MAX))


# -- reading


def through_frames(stream: bytes, step: int) -> list[Message] | None:
    """Return the messages in a stream fed so many bytes at a time, or None for Malformed."""
    decoder, found = FrameDecoder(REQUEST_BYTES_MAX), list[Message]()
    try:
        for at in range(0, len(stream), step):
            found += decoder.feed(stream[at : at + step])
    except Malformed:
        return None
    return found


def one(seed: str, number: int, told: Told) -> None:
    """Mutate and read one message; note what must not be."""
    luck, all_ = random.Random(f"{seed}/{number}"), samples()
    sample = all_[number % len(all_)]
    data = mutate(sample.data, luck, all_)
    if sample.resign is not None:
        data = sample.resign(data) if luck.randrange(SIGNED) == 0 else mutate(sample.resign(sample.data), luck, all_)
    told.messages += 1
    try:
        value = outcome(sample.read, data)
        told.values[sample.name] += value is not None
        if luck.randrange(FRAMED) == 0:
            told.framed += 1
            _framed(sample, data, value, luck)
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        told.faults.append(
            f"--seed {seed} --first {number}: {sample.name}: {type(error).__name__} {error}: {data.hex()}"
        )


def _framed(sample: Sample, data: bytes, value: object, luck: random.Random) -> None:
    """Send a message and a mutated copy of its frames through the decoder, whole and byte by byte."""
    stream = b"".join(encode_message(Kind.REQUEST, luck.randrange(2**32), data))
    mutated = mutate(stream, luck, samples())
    for each in (stream, mutated, stream + mutated):
        whole, single = through_frames(each, len(each) or 1), through_frames(each, 1)
        if whole != single:
            raise AssertionError(f"other messages byte by byte: {each.hex()}")
        for message in whole or ():
            if message.body == data and repr(outcome(sample.read, message.body)) != repr(value):
                raise AssertionError("another value the second time")


campaign = partial(fuzzing.campaign, one)


def main() -> int:
    """Run the campaign; 0 only when every message gave a value or Malformed."""
    return fuzzing.command("mint", __doc__, one, lambda told: {"framed": told.framed, "kinds": len(samples())})


if __name__ == "__main__":
    sys.exit(main())
