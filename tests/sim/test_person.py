"""At stake: simulated nodes use what they hold as a daemon does, or the figures of the market are not the daemon's."""

from nanobarter.core.ids import NodeId
from nanobarter.sim.economy.kinds import DAYS, KIND
from nanobarter.sim.economy.nature import Nature, name_of
from nanobarter.sim.economy.person import RENEW_PART, Person
from nanobarter.sim.economy.regimes import Manner
from nanobarter.storage.geometry import Geometry
from nanobarter.translator.plan import make_plan

PEERS = 8
TERM = DAYS[KIND]
NODES = [name_of(1, number) for number in range(PEERS)]


def world() -> tuple[Person, dict[NodeId, Person]]:
    """Return one node whose plan wants four shares, and all nodes."""
    people = {node: Person(Nature(node, n, 0.95), Manner("discount"), 20_000, 10**9) for n, node in enumerate(NODES)}
    one = people[NODES[0]]
    one.plan = make_plan(10**9, KIND, Geometry(2, 4))
    return one, people


def test_part_of_a_lease_takes_no_place_and_a_whole_plan_opens_no_more() -> None:
    one, people = world()
    per = one.plan.per_issuer if one.plan is not None else 0
    for node in NODES[1:5]:
        one.leases[node] = [(TERM, per // 2)]
    for node in NODES[5:]:
        one.notes[node] = [(TERM, per)]
    one.settle(1, people)
    assert [one.in_leases(node) for node in NODES[5:]] == [per] * 3
    one.notes = {node: [(TERM, per)] for node in NODES[1:5]}
    one.settle(2, people)
    assert sum(one.in_leases(node) == per for node in NODES) == len(one.holders()) == 4


def test_a_lease_that_holds_no_share_ends_by_itself() -> None:
    one, people = world()
    per = one.plan.per_issuer if one.plan is not None else 0
    day = TERM - TERM // RENEW_PART
    one.leases = {node: [(2 * TERM, per)] for node in NODES[2:6]}
    one.leases[NODES[1]] = [(TERM, per)]
    one.notes[NODES[1]] = [(2 * TERM, per)]
    one.settle(day, people)
    assert one.leases[NODES[1]] == [(TERM, per)]
    del one.leases[NODES[2]]
    one.settle(day, people)
    assert one.leases[NODES[1]] == [(2 * TERM, per)]  # now it is one of the four
