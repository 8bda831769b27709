"""At stake: on real daemons nothing of a person's leaves her node before her word, nor more than it allows."""

from typing import Any

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.node import wait_until
from tests.e2e.village import READY_SECONDS, Machine, village

pytestmark = pytest.mark.e2e


def drafts(machine: Machine) -> list[dict[str, Any]]:
    return list(machine.ask("/v1/draft/list")["drafts"])


def held(machine: Machine) -> list[tuple[str, int]]:
    return [(holding["issuer"], holding["mib"]) for holding in machine.ask("/v1/wallet")["holdings"]]


def test_a_draft_waits_for_her_word_and_takes_no_more_than_it_allows() -> None:
    def tale() -> list[object]:
        return [(m.name, drafts(m), m.ask("/v1/market")["agreements"], m.log()) for m in made.machines]

    def refuse_all() -> bool:
        noes = [ben.nbctl("draft", "refuse", row["draft"]).code for row in drafts(ben)]
        return set(noes) <= {Exit.DONE} and not drafts(ann) and not drafts(ben)

    with village() as made:
        ann = made.init("ann")
        ben = made.init("ben", bootstrap=ann.address)
        for machine in (ann, ben):
            machine.configure(market={"reserve": "0B"})
        ben.configure(market={"approve": "manual", "approve_above": "5MiB"})
        made.up([ann, ben])
        ben.ok("market", "bid", "--wants", f"30d@{ann.node}", "--quantity", "30MiB")
        assert wait_until(lambda: bool(ann.ask("/v1/market/book")["bids"]), READY_SECONDS)

        ann.ok("market", "bid", "--wants", f"30d@{ben.node}", "--quantity", "4MiB")
        assert wait_until(lambda: held(ann) == [(ben.node, 4)], READY_SECONDS), tale()

        ann.ok("market", "bid", "--wants", f"30d@{ben.node}", "--quantity", "20MiB")
        assert wait_until(lambda: bool(drafts(ben)), READY_SECONDS), tale()
        (asked,) = drafts(ben)
        assert (asked["state"], asked["gives_mib"], asked["gets_mib"]) == ("asked", 20, 20)
        assert [row["state"] for row in drafts(ann)] in (["waiting"], [])  # none when his own node asks him first
        short = asked["draft"][:10]
        shown = ben.ok("draft", "show", short)
        assert {(arc["me"], arc["asks"]) for arc in shown["arcs"]} == {(False, False), (True, True)}
        ben.nbctl("draft", "approve", short, "--quantity", "21").refused(Exit.USAGE, "the draft takes 20 MiB")
        ann.nbctl("draft", "refuse", "00ff").refused(Exit.USAGE, "no draft under way begins")

        ben.kill()  # what was asked is on her disk
        ben.up()
        assert [row["draft"] for row in drafts(ben)] == [asked["draft"]]
        assert ben.ok("draft", "approve", short, "--quantity", "12MiB")["mib"] == 12
        assert wait_until(lambda: held(ann) == [(ben.node, 16)], READY_SECONDS), tale()

        # What is left is asked about anew, by whoever comes first, since it is still more than he leaves to his node.
        assert wait_until(lambda: [row["gives_mib"] for row in drafts(ben)] == [8], READY_SECONDS), tale()
        # Both nodes may ask, and the question of one take the place of the other's: his no counts for either.
        assert wait_until(refuse_all, READY_SECONDS), tale()
        assert (held(ann), held(ben)) == ([(ben.node, 16)], [(ann.node, 16)])
        for machine in (ann, ben):
            assert machine.ok("mint", "audit")["ok"]
