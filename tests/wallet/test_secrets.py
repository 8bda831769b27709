"""A secret that cannot be made again is a note lost; one that is used twice is a note seen."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import KeysetId
from nanobarter.core.units import Quantity
from nanobarter.wallet.secrets import Coin, blinding_factor, lock_key, note_key, note_salt

VECTORS = Path(__file__).parents[1] / "vectors" / "wallet-secrets.json"
MODULUS = (1 << 2047) + 12345  # any odd number of the right size: only its length matters here


def told(seed: bytes, coin: Coin, message: bytes) -> dict[str, str]:
    return {
        "keyset": coin.keyset.hex(),
        "quantity": str(coin.quantity),
        "counter": str(coin.counter),
        "seed": seed.hex(),
        "message": message.hex(),
        "note_key": note_key(seed, coin).public.hex(),
        "salt": note_salt(seed, coin, message).hex(),
        "factor": f"{blinding_factor(seed, coin, message, MODULUS):x}",
        "to_key": lock_key(seed, message, 1, "to").public.hex(),
        "refund_key": lock_key(seed, message, 1, "refund").public.hex(),
    }


def test_old_phrases_keep_making_the_same_secrets() -> None:
    for case in json.loads(VECTORS.read_text()):
        coin = Coin(KeysetId(bytes.fromhex(case["keyset"])), Quantity(int(case["quantity"])), int(case["counter"]))
        assert told(bytes.fromhex(case["seed"]), coin, bytes.fromhex(case["message"])) == case


coins = st.builds(
    Coin,
    st.binary(min_size=16, max_size=16).map(KeysetId),
    st.integers(0, 20).map(lambda i: Quantity(1 << i)),
    st.integers(0, 2**40),
)


@given(coins, coins, st.binary(max_size=64), st.binary(max_size=64))
def test_no_two_coins_or_messages_share_a_secret(one: Coin, other: Coin, m1: bytes, m2: bytes) -> None:
    seed = b"s" * 64
    if one != other:
        assert note_key(seed, one).secret != note_key(seed, other).secret
    if (one, m1) != (other, m2):
        assert note_salt(seed, one, m1) != note_salt(seed, other, m2)
        assert blinding_factor(seed, one, m1, MODULUS) != blinding_factor(seed, other, m2, MODULUS)
    factor = blinding_factor(seed, one, m1, MODULUS)
    assert 1 <= factor < MODULUS
    assert factor.bit_length() > 1900  # a factor of few bits would hide nothing
