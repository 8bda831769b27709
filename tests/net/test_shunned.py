"""Who breaks the protocol once by a fault is spoken to again soon; who goes on costs almost nothing."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import SECOND
from nanobarter.net.shunned import Shunned

FIRST, LAST = LIMITS.misbehaved_first / SECOND, LIMITS.misbehaved_last / SECOND
ONE, OTHER = NodeId(b"1" * 32), NodeId(b"2" * 32)


def test_terms_double_up_to_the_last_and_begin_anew_after_good_conduct() -> None:
    shunned, now, spans = Shunned(LIMITS), 100.0, list[float]()
    for _ in range(12):
        spans.append(shunned.breach(ONE, now))
        now += spans[-1]
    assert spans[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert spans[-1] == LAST
    assert shunned.breach(ONE, now + LAST + 1) == FIRST


def _eighths(count: int) -> float:
    return count / 8  # sums of eighths are exact, so the law can be told with equality


@given(st.lists(st.tuples(st.sampled_from([ONE, OTHER]), st.integers(0, 16_000).map(_eighths)), max_size=30))
def test_a_term_holds_for_its_node_alone_and_ends(breaches: list[tuple[NodeId, float]]) -> None:
    shunned, now, until = Shunned(LIMITS), 0.0, {ONE: 0.0, OTHER: 0.0}
    for node, pause in breaches:
        now += pause
        span = shunned.breach(node, now)
        assert FIRST <= span <= LAST
        until[node] = now + span
        for one, end in until.items():
            assert shunned.is_shunned(one, now) == (end > now)
        assert set(shunned.nodes(now)) == {one for one, end in until.items() if end > now}
        assert shunned.next_end(now) == min(end for end in until.values() if end > now)
    assert shunned.nodes(max(until.values())) == []
