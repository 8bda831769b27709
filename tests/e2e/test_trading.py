"""At stake: a price that a person was shown, the bid he was told to post, and what is left of one after a crash."""

import shlex

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.node import wait_until
from tests.e2e.village import READY_SECONDS, Machine, village

pytestmark = pytest.mark.e2e


def own_bids(machine: Machine) -> dict[str, int]:
    return {bid["bid"]: bid["quantity_mib"] for bid in machine.ok("market", "bids")["bids"]}


def test_what_a_quote_shows_is_had_by_the_bid_it_names() -> None:
    with village() as made:
        ann = made.init("ann")
        ben = made.init("ben", bootstrap=ann.address)
        for machine in (ann, ben):
            machine.configure(market={"reserve": "0B"})
        made.up([ann, ben])
        posted = ann.ok("market", "bid", "--wants", f"30d@{ben.node}", "--quantity", "30MiB", "--omega", "3/2")
        assert wait_until(lambda: bool(ben.ok("market", "book")["bids"]), READY_SECONDS)
        quote = ben.ok("market", "quote", "--wants", f"30d@{ann.node}")
        assert quote["couples"] == [{"received_mib": 30, "given_mib": 20}]

        wish = ben.ok("market", "quote", "--wants", f"30d@{ann.node}", "--quantity", "12", "--omega", "3/4")["proposal"]
        assert (wish["received_mib"], wish["given_mib"]) == (12, 9)
        assert wish["chain"][0]["effort"] < 1
        ended = ben.nbctl(*shlex.split(wish["command"])[1:])
        assert ended.code == Exit.DONE, ended
        assert wait_until(lambda: bool(ben.ok("wallet")["holdings"]), READY_SECONDS), (ben.ok("market"), ben.log())
        assert [(held["issuer"], held["mib"]) for held in ben.ok("wallet")["holdings"]] == [(ann.node, 12)]
        assert wait_until(lambda: own_bids(ben) == {}, READY_SECONDS)

        for machine in (ann, ben):
            assert wait_until(lambda machine=machine: len(machine.ok("market", "rates")["rates"]) == 1, READY_SECONDS)
            (rate,) = machine.ok("market", "rates")["rates"]
            assert {rate["first"]: rate["first_mib"], rate["second"]: rate["second_mib"]} == {
                f"30d:{ann.node}": 12,
                f"30d:{ben.node}": 9,
            }
            assert rate["agreements"] == 1

        bid = posted["bid"]["bid"]
        assert wait_until(lambda: own_bids(ann) == {bid: 18}, READY_SECONDS)
        ann.kill()
        ann.up()
        assert own_bids(ann) == {bid: 18}
        assert ann.ok("market", "bid", "--withdraw", bid[:12])["bid"] == bid
        assert own_bids(ann) == {}
        assert wait_until(lambda: not ben.ok("market", "book")["bids"], READY_SECONDS)
        told = ben.nbctl("market", "quote", "--wants", f"30d@{ann.node}", "--quantity", "1")
        told.refused(Exit.FAILED, f"nobody gives 30d at {ann.node}")
        ben.nbctl("market", "bid", "--quantity", "9TB").refused(Exit.NO_CREDIT, "are free")
