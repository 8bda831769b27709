"""Changing the offer in config.toml by command: the person's comments and order stay as they are.

What she changes in it herself holds from the next start on.
"""

from typing import Final

from msgspec.structs import replace

from nanobarter.core.durable import write_durably
from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.core.units import MIB, LeaseKind, show_size
from nanobarter.daemon.config import Config, Offer
from nanobarter.daemon.config_file import load_config, parse_config
from nanobarter.daemon.home import Home

_GIGABYTE: Final = 10**9


def changed_offer(offer: Offer, by_bytes: int, kind: LeaseKind | None) -> Offer:
    """Return the offer with so many bytes more (or less) of a kind, or of all its kinds evenly.

    A kind that is not offered yet is added, one of which nothing is left is taken out. Raises UsageError when less
    than nothing would be left, or nothing of the kind that the folders are kept under.
    """
    sizes = offer.pledges
    if kind is None and all(" " not in text for text in offer.kinds):  # they share the space, and go on to
        if offer.space_bytes + by_bytes < MIB * len(sizes):
            raise _too_little(offer.space_bytes, by_bytes, "")
        return replace(offer, space=_size(offer.space_bytes + by_bytes))
    share = by_bytes if kind is not None else by_bytes // len(sizes)
    for one in (kind,) if kind is not None else tuple(sizes):
        left = sizes.get(one, 0) + share
        if left < 0:
            raise _too_little(sizes.get(one, 0), share, one)
        sizes[one] = left
    first = offer.lease_kinds[0]
    if sizes[first] < MIB:
        raise UsageError(f"the folders are kept under {first}: some of it must be offered", hint="keep at least 1MiB")
    kept = {one: size for one, size in sizes.items() if size >= MIB}
    space = _size(sum(kept.values()))
    kinds = (first,) if list(kept) == [first] else tuple(f"{one} {_size(size)}" for one, size in kept.items())
    return replace(offer, space=space, kinds=kinds)


def _too_little(have: int, by_bytes: int, kind: str) -> UsageError:
    of = f" of {kind}" if kind else ""
    return UsageError(
        f"{show_size(have)}{of} are pledged, and cannot shrink by {show_size(-by_bytes)}", hint="see nbctl offer"
    )


def _size(size_bytes: int) -> str:
    """Return a size so that it is read back as just that."""
    for unit, factor in (("GB", _GIGABYTE), ("MiB", MIB)):
        if size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}B"


def checked_text(home: Home, offer: Offer) -> str:
    """Return the text of the home's config with this offer in it. Raises UsageError when it would be wrong."""
    import tomlkit  # noqa: PLC0415 - only a change of the config pays for it

    load_config(home.config_path, folders_must_exist=False)  # a mistake made since the start is told by its line
    document = tomlkit.parse(home.config_path.read_text(encoding="utf-8"))
    section = document.setdefault("offer", tomlkit.table())
    section["space"] = offer.space
    if list(section.get("kinds", Offer().kinds)) != list(offer.kinds):
        section["kinds"] = list(offer.kinds)
    text = document.as_string()
    parse_config(text, home.config_path, folders_must_exist=False)
    return text


def is_changed(home: Home, config: Config) -> bool:
    """Tell whether the home's config is another one now, or cannot be read any more."""
    try:
        return load_config(home.config_path, folders_must_exist=False) != config
    except (UsageError, LocalFault):
        return True


def write_text(home: Home, text: str) -> None:
    """Put a checked text in the place of the config. Raises LocalFault when the disk refuses it."""
    try:
        write_durably(home.config_path, text.encode())
    except OSError as error:
        raise LocalFault(
            f"cannot write {home.config_path}: {error.strerror}", hint="the pledge holds until the next start"
        ) from None
