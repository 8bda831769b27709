"""Text form of ids: bech32m, with a checksum that finds up to three wrong letters. Source: BIP 350 and BIP 173.

Forty lines of arithmetic; the libraries that offer it speak of Bitcoin addresses and cap the length at 90.
"""

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M = 0x2BC830A3
_CHECKSUM_LETTERS = 6
_LENGTH_MAX = 1023  # BIP 173: beyond it the checksum guarantees nothing


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_GENERATOR):
            check ^= generator if (top >> i) & 1 else 0
    return check


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _regroup(data: list[int], bits_from: int, bits_to: int, *, pad: bool) -> list[int]:
    held, bits, groups = 0, 0, list[int]()
    for value in data:
        held = held << bits_from | value
        bits += bits_from
        while bits >= bits_to:
            bits -= bits_to
            groups.append(held >> bits & (1 << bits_to) - 1)
    if pad and bits:
        groups.append(held << (bits_to - bits) & (1 << bits_to) - 1)
    elif not pad and (bits >= bits_from or held << (bits_to - bits) & (1 << bits_to) - 1):
        raise ValueError("its padding is wrong")
    return groups


def encode(prefix: str, data: bytes) -> str:
    """Return the bech32m text of the bytes under a lower-case prefix."""
    values = _regroup(list(data), 8, 5, pad=True)
    check = _polymod([*_expand(prefix), *values, *[0] * _CHECKSUM_LETTERS]) ^ _BECH32M
    values += [check >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_LETTERS)]
    return prefix + "1" + "".join(_LETTERS[v] for v in values)


def decode(prefix: str, text: str) -> bytes:
    """Return the bytes of a bech32m text with this prefix. Raises ValueError that says what is wrong."""
    if text not in (text.lower(), text.upper()):
        raise ValueError("it mixes upper and lower case")
    lower = text.lower()
    if not lower.startswith(prefix + "1"):
        raise ValueError(f"it does not begin with {prefix}1")
    if len(lower) > _LENGTH_MAX or len(lower) < len(prefix) + 1 + _CHECKSUM_LETTERS:
        raise ValueError("its length is impossible")
    try:
        values = [_LETTERS.index(c) for c in lower[len(prefix) + 1 :]]
    except ValueError:
        raise ValueError("it has a letter that is never used") from None
    if _polymod([*_expand(prefix), *values]) != _BECH32M:
        raise ValueError("its checksum does not match; a letter is wrong")
    return bytes(_regroup(values[:-_CHECKSUM_LETTERS], 5, 8, pad=False))
