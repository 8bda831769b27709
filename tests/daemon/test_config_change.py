"""At stake: a command changes the person's own file: her words stay, and the next start pledges just what was told."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import UsageError
from nanobarter.core.units import LEASE_KINDS_DEFAULT, MIB, LeaseKind
from nanobarter.daemon.config import Config, Offer
from nanobarter.daemon.config_change import changed_offer, checked_text, is_changed, write_text
from nanobarter.daemon.config_file import load_config, parse_config
from nanobarter.daemon.config_text import write_config
from nanobarter.daemon.home import Home

GB = 10**9
KINDS = [LeaseKind(kind) for kind in ("7d", "30d", "90d", "365d")]


@given(
    st.integers(64, 10_000),
    st.permutations(KINDS).flatmap(lambda kinds: st.integers(1, 4).map(lambda n: tuple(kinds[:n]))),
    st.lists(st.tuples(st.integers(-3000, 3000), st.sampled_from([None, *KINDS])), max_size=6),
)
def test_every_change_moves_just_so_much_and_is_read_back_as_it_is(
    space: int, kinds: tuple[LeaseKind, ...], changes: list[tuple[int, LeaseKind | None]]
) -> None:
    offer = Offer(space=f"{space}MiB", kinds=kinds)
    for by, kind in changes:
        before = offer.pledges
        try:
            offer = changed_offer(offer, by * MIB, kind)
        except UsageError:
            continue
        after = offer.pledges
        moved = {k: after.get(k, 0) - before.get(k, 0) for k in {*before, *after}}
        if kind is not None:  # what is left of a kind below 1 MiB goes
            assert abs(moved.get(kind, 0) - by * MIB) < MIB
            assert all(abs(m) < MIB for k, m in moved.items() if k != kind)
        assert abs(sum(moved.values()) - by * MIB) < len(LEASE_KINDS_DEFAULT) * MIB
        assert min(after.values()) >= MIB
        assert offer.lease_kinds[0] == kinds[0]
        assert sum(after.values()) <= offer.space_bytes
        if offer.space_bytes >= 64 * MIB:
            text = write_config(Config(offer=offer))
            assert parse_config(text, Path("/h"), folders_must_exist=False).offer == offer


def test_comments_and_order_stay_and_a_mistake_made_since_is_told(tmp_path: Path) -> None:
    text = '# mine\n[pet]\nname = "oak" # my tree\n\n[offer]\nspace = "2GB"  # half the disk\nkinds = [\n  "30d",\n]\n'
    home = Home.create(tmp_path / "home", bytes(64), text)
    old = load_config(home.config_path)
    write_text(home, checked_text(home, changed_offer(old.offer, GB, None)))
    assert home.config_path.read_text() == text.replace('"2GB"', '"3GB"')
    assert home.config_path.stat().st_mode & 0o777 == 0o600
    write_text(home, checked_text(home, changed_offer(load_config(home.config_path).offer, GB, LeaseKind("7d"))))
    now = load_config(home.config_path).offer
    assert now.pledges == {"30d": 3 * GB, "7d": GB}
    assert now.space_bytes == 4 * GB
    assert "# half the disk" in home.config_path.read_text()
    home.config_path.write_text(text.replace("space", "spase"))
    with pytest.raises(UsageError, match="unknown key"):
        checked_text(home, now)
    home.config_path.write_text("")
    write_text(home, checked_text(home, now))
    assert load_config(home.config_path).offer == now


@pytest.mark.parametrize(
    ("by", "kind", "told"),
    [
        (-2 * GB, None, "cannot shrink by 2.0 GB"),
        (-GB, LeaseKind("7d"), "0 B of 7d are pledged"),
        (-GB, LeaseKind("30d"), "the folders are kept under 30d"),
    ],
)
def test_less_than_nothing_cannot_be_offered(by: int, kind: LeaseKind | None, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        changed_offer(Offer(space="1GB"), by, kind)


def test_what_she_wrote_since_the_start_is_told_and_a_comment_is_no_change(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "home", bytes(64), '[offer]\nspace = "2GB"\n')
    config = load_config(home.config_path)
    home.config_path.write_text('# mine\n[offer]\nspace = "2GB"\n')
    assert not is_changed(home, config)
    home.config_path.write_text('[offer]\nspace = "2GB"\n[bots]\ntrader = "on"\n')
    assert is_changed(home, config)
    home.config_path.write_text("[offer")
    assert is_changed(home, config)
