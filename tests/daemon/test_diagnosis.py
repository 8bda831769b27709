"""A person who asks what is wrong must be told the thing that is wrong, and what to do about it."""

from dataclasses import replace

import pytest

from nanobarter.daemon.diagnosis import Facts, diagnose, is_well
from nanobarter.net.checkup import PeerSaid, Reached
from tests.net.nodes import key

SAID = tuple(PeerSaid(key(i).node_id, 100, "192.0.2.7", Reached.YES) for i in (1, 2, 3))
MISSED = tuple(replace(peer, reached=Reached.NO) for peer in SAID)
WELL = Facts(
    connected=3,
    known=5,
    bootstrap=1,
    listening="[::]:4773",
    addresses=("192.0.2.7:4773",),
    said=SAID,
    has_ipv6=True,
    friends_only=False,
    friends=0,
    same_host=False,
    disk_free_bytes=100 * 2**30,
    promised_left_bytes=10 * 2**30,
    fd_limit=4096,
    connections_max=512,
    seed_mode=0o600,
)


def test_a_node_that_is_well_has_nothing_to_mend() -> None:
    findings = diagnose(WELL)
    assert {finding.state for finding in findings} == {"ok"}
    assert not any(finding.hint for finding in findings)


@pytest.mark.parametrize(
    ("facts", "name", "state", "hint"),
    [
        (replace(WELL, disk_free_bytes=10**6), "disk", "fail", "free some space"),
        (replace(WELL, disk_free_bytes=10 * 2**30), "disk", "warn", "offer shrink"),
        (replace(WELL, paths=("relay", "relay", "out met")), "ways", "warn", "forward the port"),
        (replace(WELL, seed_mode=0o644), "seed", "fail", "chmod 600"),
        (replace(WELL, fd_limit=256), "files", "warn", "ulimit -n"),
        (replace(WELL, connected=0, said=()), "peers", "fail", "online"),
        (replace(WELL, connected=0, known=0, bootstrap=0, said=()), "peers", "fail", "bootstrap"),
        (replace(WELL, said=tuple(replace(s, reached=Reached.NO) for s in SAID)), "reachable", "fail", "TCP port 4773"),
        (
            replace(WELL, said=tuple(replace(s, reached=Reached.NO) for s in SAID)),
            "reachable",
            "fail",
            "192.0.2.7:4773",
        ),
        (replace(WELL, said=()), "reachable", "warn", "connect"),
        (replace(WELL, listening="0.0.0.0:4773"), "ipv6", "warn", "[::]"),
        (replace(WELL, said=tuple(replace(s, ahead=70_000) for s in SAID)), "clock", "fail", "clock"),
        (replace(WELL, said=tuple(replace(s, ahead=-7_000) for s in SAID)), "clock", "warn", "NTP"),
        (replace(WELL, friends_only=True), "circle", "fail", "nbctl invite"),
        (replace(WELL, same_host=True), "circle", "warn", "same_host_ok"),
        (replace(WELL, ledger_bad=("entry 7 does not sum to zero",)), "ledger", "fail", "nbctl rebuild"),
        (replace(WELL, ledger_off=("by the ledger you hold more",)), "ledger", "warn", "the wallet and the mint are"),
    ],
)
def test_each_trouble_is_named_with_its_remedy(facts: Facts, name: str, state: str, hint: str) -> None:
    (finding,) = [finding for finding in diagnose(facts) if finding.name == name]
    assert (finding.state, hint in finding.hint) == (state, True)
    assert is_well(diagnose(facts)) == (state != "fail")


def test_one_peer_that_reaches_us_is_enough() -> None:
    said = (SAID[0], *MISSED[1:])
    assert is_well(diagnose(replace(WELL, said=said)))
