"""A word that a person gave must count once, whatever dies while she is asked."""

from tests.swap.question_kills import campaign


def test_no_word_is_lost_doubled_or_overstepped_when_nodes_are_killed() -> None:
    told = campaign(runs=4, seed=1)
    assert [one.problems for one in told] == [()] * 4
    assert sum(one.settled for one in told) == 4
