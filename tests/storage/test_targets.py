"""At stake: space that is lent for notes which cannot be used, since two shares of a pack never share a network."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId
from nanobarter.storage.targets import apart, place_of

NODES = [NodeId(bytes([i]) * 32) for i in range(1, 9)]
hosts = st.lists(
    st.sampled_from(["8.8.8.1", "8.8.8.2", "8.8.9.1", "1.1.1.1", "2600::1", "2600::2", "2601::1", "a.example", None]),
    min_size=8,
    max_size=8,
)


@given(
    hosts, st.lists(st.sampled_from(NODES), unique=True), st.sets(st.sampled_from(NODES)), st.integers(0, 9),
    st.dictionaries(st.sampled_from(NODES), st.floats(0, 1)),
)  # fmt: skip
def test_one_of_each_place_is_asked_unless_there_are_too_few_places(
    at: list[str | None], offering: list[NodeId], held: set[NodeId], needed: int, r: dict[NodeId, float]
) -> None:
    where = dict(zip(NODES, at, strict=True))

    def place(node: NodeId) -> str:
        return place_of(node, where[node], same_host_ok=False)

    found = apart(offering, held, needed, place, lambda n: r.get(n, 0.0))
    new = [node for node in found if node not in held]
    places = {place(node) for node in [*held, *offering]}
    if len(places) < needed:
        assert sorted(found) == sorted(offering)  # better one that may be of use than none
    else:
        assert len({place(node) for node in new} | {place(node) for node in held}) == len(new) + len(
            {place(node) for node in held}
        )
        assert {place(node) for node in [*held, *found]} == places
        assert found == [node for node in offering if node in found]
        for node in new:
            assert all(r.get(node, 0) >= r.get(n, 0) for n in offering if n not in held and place(n) == place(node))
    assert [node for node in offering if node in held] == [node for node in found if node in held]
