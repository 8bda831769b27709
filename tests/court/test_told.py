"""A person must see who is convicted, and of what, where she looks anyway."""

import msgspec

from nanobarter.cli.show import lines_of
from nanobarter.daemon import facade as f

WHY = "it promised more of 30d than it pledges"


def test_peers_and_status_say_of_what_a_node_is_convicted() -> None:
    rows = (f.PeerRow(node="nb1good", connected=True), f.PeerRow(node="nb1liar", connected=True, convicted=WHY))
    peers = list(lines_of(msgspec.to_builtins(f.Peers(peers=rows))))
    assert [WHY in line for line in peers if "nb1" in line] == [False, True]
    status = f.Status(
        node="nb1me",
        version="0",
        pid=1,
        started=0,
        listen="",
        home="",
        convicted=(f.ConvictedRow(node="nb1liar", why=WHY, at=0),),
    )
    assert any(WHY in line for line in lines_of(msgspec.to_builtins(status)))
