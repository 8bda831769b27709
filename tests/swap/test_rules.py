"""One broken rule robs an honest party: each rule is shown to hold, in the schedule that would break it."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, Reason
from nanobarter.core.keys import seal_signed
from nanobarter.core.units import DAY, HOUR, MINUTE, SECOND, Instant, Quantity, Span, after
from nanobarter.mint.answer_messages import DOMAIN_LOCKED, Locked
from nanobarter.mint.messages import LockTerms
from nanobarter.swap.making import make_agreed, seal_message
from nanobarter.swap.messages import Agreed, Approve, Refuse, Vote, open_approve, open_draft
from nanobarter.swap.objections import draft_objection
from nanobarter.swap.orders import Blame, Effect, Lock, Open, Refund, Release, Send, WakeAt, orders
from nanobarter.swap.states import (
    Aborted,
    AgreementReceived,
    ApprovalReceived,
    Approved,
    Collecting,
    Committing,
    Ended,
    LegSeen,
    LockedReceived,
    Locking,
    Opened,
    RefusalReceived,
    Restarted,
    TimePassed,
    Voted,
    VoteReceived,
)
from nanobarter.swap.terms import agreement_of
from tests.swap.table import N, Table


def votes(effects: tuple[Effect, ...]) -> list[Send]:
    return [e for e in effects if isinstance(e, Send) and isinstance(e.message, Vote)]


def blames(effects: tuple[Effect, ...]) -> list[str]:
    return [e.what for e in effects if isinstance(e, Blame)]


@pytest.fixture(scope="module")
def table() -> Table:
    return Table()


@pytest.mark.parametrize("missing", range(N))
def test_nobody_votes_before_all_locks_are_shown(table: Table, missing: int) -> None:
    state, effects = table.locking(), ()
    for j in set(range(N)) - {missing}:
        state, effects = table.give(state, LockedReceived(table.locked(j)))
    assert isinstance(state, Locking)
    assert not votes(effects)
    state, effects = table.give(state, LockedReceived(table.locked(missing)))
    assert isinstance(state, Voted)
    assert len(votes(effects)) == 1


@pytest.mark.parametrize("name", [f for f in LockTerms.__struct_fields__ if f != "index"])
def test_a_lock_that_differs_in_any_field_is_not_voted_on(table: Table, name: str) -> None:
    old = getattr(table.agreement.terms[2], name)
    match old:
        case int():
            new: Any = old + 1
        case str():
            new = "7d"
        case tuple():
            new = tuple(reversed(old))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - hashes
        case _:
            new = bytes(32)
    state = table.locking()
    for j in (0, 1):
        state = table.give(state, LockedReceived(table.locked(j)))[0]
    state, effects = table.give(state, LockedReceived(table.locked(2, changes={name: new})))
    assert isinstance(state, Locking)
    assert blames(effects) == [f"LOCKED: {name} is not as agreed"]


def test_a_lock_signed_by_another_than_its_issuer_counts_for_nothing(table: Table) -> None:
    forged = seal_signed(table.keys[0], DOMAIN_LOCKED, Locked(table.agreement.terms[2], table.now))
    state, effects = table.give(table.locking(), LockedReceived(forged))
    assert isinstance(state, Locking)
    assert state.receipts[2] is None
    assert blames(effects) == ["LOCKED: signed by another key than the issuer's"]


@pytest.mark.parametrize("off", [61, -61])
def test_a_lock_whose_issuer_lives_in_another_time_is_not_voted_on(table: Table, off: int) -> None:
    at = Instant(table.now + off * SECOND)
    state, effects = table.give(table.locking(), LockedReceived(table.locked(2, at)))
    assert isinstance(state, Locking)
    assert state.receipts[2] is None
    assert not blames(effects)


def test_at_the_vote_deadline_who_has_not_voted_never_will(table: Table) -> None:
    state = table.locking()
    for j in (0, 1):
        state = table.give(state, LockedReceived(table.locked(j)))[0]
    late = table.agreement.vote_by
    state, effects = table.give(state, LockedReceived(table.locked(2, late)), late)
    assert isinstance(state, Aborted)
    assert not votes(effects)
    assert [e.index for e in effects if isinstance(e, Release)] == [0]


def test_the_proposer_commits_to_nothing_after_the_vote_deadline(table: Table) -> None:
    state = table.collecting()
    for j in range(N):
        state = table.give(state, LockedReceived(table.locked(j)))[0]
    state = table.give(state, VoteReceived(table.vote(1)))[0]
    assert isinstance(state, Collecting)
    late, effects = table.give(state, VoteReceived(table.vote(2)), table.agreement.vote_by)
    assert isinstance(late, Aborted)
    assert not [e for e in effects if isinstance(e, Open)]


def test_the_proposer_shows_the_secrets_first_to_the_issuer_that_pays_it_and_to_no_other(table: Table) -> None:
    state = table.committing()
    assert [o.index for o in orders(state, table.now) if isinstance(o, Open)] == [N - 1]
    assert not [o for o in orders(state, table.now) if isinstance(o, Send)]
    late = Instant(table.agreement.deadline(N - 1) + 1)
    state, effects = table.give(state, TimePassed(), late)
    assert isinstance(state, Voted)
    assert not [e for e in effects if isinstance(e, Open | Send)]


def test_a_node_opens_its_own_arc_only_after_the_one_that_pays_it_has_ended(table: Table) -> None:
    state, effects = table.give(table.voted(), LegSeen(2, "opened", table.now, table.secrets, None))
    assert isinstance(state, Opened)
    assert [e.index for e in effects if isinstance(e, Open)] == [0]
    state, effects = table.give(state, table.opened(0))
    assert 1 in [e.index for e in effects if isinstance(e, Open)]


def test_secrets_that_do_not_all_fit_move_nobody(table: Table) -> None:
    for wrong in (table.secrets[:2], (*table.secrets[:2], bytes(32)), tuple(reversed(table.secrets))):
        state, _ = table.give(table.voted(), LegSeen(1, "opened", table.now, wrong, None))
        assert isinstance(state, Voted)


def test_a_refund_is_asked_for_only_after_the_deadline_of_the_arc(table: Table) -> None:
    deadline = table.agreement.deadline(1)
    for now, wanted in ((deadline, []), (Instant(deadline + 1), [1])):
        _, effects = table.give(table.voted(), TimePassed(), now)
        assert [e.index for e in effects if isinstance(e, Refund)] == wanted


def test_the_proposer_takes_its_arc_back_only_when_the_issuer_that_pays_it_says_no(table: Table) -> None:
    end = table.agreement.deadline(0)
    for late, wanted in ((1, table.agreement.terms[2]), (24 * HOUR + 1, None)):
        _, effects = table.give(table.committing(), TimePassed(), Instant(end + late))
        assert [e.unless for e in effects if isinstance(e, Refund)] == [wanted]
        _, effects = table.give(table.voted(), TimePassed(), Instant(end + late))  # others have shown nothing to it
        assert [e.unless for e in effects if isinstance(e, Refund)] == [None]


def test_who_is_owed_by_a_mute_issuer_takes_its_own_arc_back_after_a_day_and_not_before(table: Table) -> None:
    state, _ = table.give(table.voted(), LegSeen(2, "opened", table.now, table.secrets, None))
    enough = Instant(table.agreement.deadline(0) + 24 * HOUR)
    for now, wanted in ((Instant(enough - 1), []), (enough, [1])):
        _, effects = table.give(state, TimePassed(), now)
        assert [e.index for e in effects if isinstance(e, Refund)] == wanted
        assert next(e.index for e in effects if isinstance(e, Open)) == 0  # what pays us is asked for all the same
    _, effects = table.give(state, TimePassed(), Instant(enough - 1))
    assert enough in [e.at for e in effects if isinstance(e, WakeAt)]


def test_an_arc_that_its_issuer_has_forgotten_is_opened_again_and_not_given_up_for_a_day(table: Table) -> None:
    paying, end = table.agreement.incoming(1), table.agreement.deadline(0)
    state, _ = table.give(table.voted(), LegSeen(paying, "opened", table.now, table.secrets, None))
    state, effects = table.give(state, LegSeen(paying, "pending", table.now, (), None))
    assert any(isinstance(e, Open) and e.index == paying for e in effects)
    for later in (DAY, DAY + 1):
        state, effects = table.give(state, LegSeen(paying, "absent", after(end, Span(later)), (), None))
        assert isinstance(state, Opened)
        assert state.incoming == ("pending" if later == DAY else "absent")


def test_deadlines_leave_each_party_one_delta_to_collect(table: Table) -> None:
    ends = [table.agreement.deadline(j) for j in range(N)]
    assert [a - b for a, b in pairwise(ends)] == [15 * MINUTE] * (N - 1)
    assert ends[-1] - table.agreement.vote_by == 15 * MINUTE


def test_a_proposer_that_restarts_before_the_agreement_gives_the_draft_up(table: Table) -> None:
    moved, effects = table.give(table.gathering, Restarted())
    assert isinstance(moved, Ended)
    assert not [e for e in effects if isinstance(e, Lock)]
    again, _ = table.give(moved, AgreementReceived(table.agreed, fresh=True))
    assert again == moved


def test_a_party_that_restarts_after_approving_is_still_there_for_the_agreement(table: Table) -> None:
    kept, _ = table.give(table.parties[1], Restarted())
    assert kept == table.parties[1]
    agreed, effects = table.give(kept, AgreementReceived(table.agreed, fresh=True))
    assert isinstance(agreed, Locking)
    assert [e.terms.index for e in effects if isinstance(e, Lock)] == [1]
    late = after(open_approve(table.parties[1].mine.approval).expires, Span(1))
    assert isinstance(table.give(table.parties[1], Restarted(), late)[0], Ended)


def test_a_restart_after_the_vote_deadline_aborts_and_before_it_goes_on(table: Table) -> None:
    state, effects = table.give(table.locking(), Restarted())
    assert isinstance(state, Locking)
    assert [e.terms.index for e in effects if isinstance(e, Lock)] == [1]
    assert isinstance(table.give(table.locking(), Restarted(), table.agreement.vote_by)[0], Aborted)
    assert isinstance(table.give(table.voted(), Restarted(), table.agreement.vote_by)[0], Voted)


def test_a_party_whose_clock_is_ahead_by_no_more_than_may_be_joins_and_says_so(table: Table) -> None:
    signed = table.gathering.draft
    draft = open_draft(signed)
    ahead = after(draft.time, table.times.clock_off)
    assert draft_objection(draft, 1, table.times, ahead) is None
    told = [e for e in orders(table.parties[1], ahead) if isinstance(e, Send)]
    assert [(e.method, e.until > ahead) for e in told] == [("swap.approve", True)]
    for late in (table.times.clock_off + 1, table.times.approve + table.times.lock):
        assert draft_objection(draft, 1, table.times, after(draft.time, Span(late))) is not None


@pytest.mark.parametrize("off", [61, -61])
def test_an_agreement_of_another_time_is_not_joined(table: Table, off: int) -> None:
    agreed = make_agreed(table.keys[0], table.gathering, Instant(table.now + off * SECOND))
    state, effects = table.give(table.parties[1], AgreementReceived(agreed, fresh=True))
    assert isinstance(state, Approved)
    assert blames(effects) == (["AGREED starts at another time than now"] if off > 0 else [])  # late is no breach


def test_an_agreement_at_another_pace_or_with_a_seen_hash_is_not_joined(table: Table) -> None:
    inner = decode(table.agreed.body, Agreed, size_max=10**5)
    fast = msgspec.structs.replace(inner, pace=msgspec.structs.replace(inner.pace, delta=SECOND))
    state, effects = table.give(table.parties[1], AgreementReceived(seal_message(table.keys[0], fast), fresh=True))
    assert isinstance(state, Approved)
    assert blames(effects) == ["AGREED runs at another pace than the draft"]
    state, effects = table.give(table.parties[1], AgreementReceived(table.agreed, fresh=False))
    assert isinstance(state, Approved)
    assert blames(effects) == ["AGREED carries a hash that was seen before"]


def test_two_agreements_for_one_draft_convict_the_proposer(table: Table) -> None:
    other = make_agreed(table.keys[0], table.gathering, Instant(table.now + 1))
    for state in (table.locking(), table.voted()):
        moved, effects = table.give(state, AgreementReceived(other, fresh=True))
        assert moved == state
        assert blames(effects) == ["signed two AGREED for one draft"]


def test_two_approvals_with_one_hash_make_no_agreement(table: Table) -> None:
    approve = open_approve(table.parties[2].mine.approval)
    copy = msgspec.structs.replace(approve, hash=open_approve(table.parties[1].mine.approval).hash)
    blank = msgspec.structs.replace(table.gathering, approvals=(*table.gathering.approvals[:2], None))
    state, effects = table.give(blank, ApprovalReceived(seal_message(table.keys[2], copy), fresh=True))
    assert state == blank
    assert blames(effects) == ["commits to a hash that was seen before"]
    agreed = decode(table.agreed.body, Agreed, size_max=10**5)
    twice = msgspec.structs.replace(agreed, approvals=(*agreed.approvals[:2], seal_message(table.keys[2], copy)))
    with pytest.raises(Malformed):
        agreement_of(seal_message(table.keys[0], twice))


def test_an_approval_of_other_terms_is_not_counted(table: Table) -> None:
    blank = msgspec.structs.replace(table.gathering, approvals=(*table.gathering.approvals[:2], None))
    approve = open_approve(table.parties[2].mine.approval)
    less = msgspec.structs.replace(approve, quantity=Quantity(approve.quantity - 1))
    for key, message in ((2, less), (1, approve)):
        state, effects = table.give(blank, ApprovalReceived(seal_message(table.keys[key], message), fresh=True))
        assert state == blank
        assert len(blames(effects)) == 1


def test_a_vote_with_a_wrong_secret_or_for_another_counts_for_nothing(table: Table) -> None:
    agreement_id = table.agreement.agreement_id
    wrong = (
        seal_message(table.keys[1], Vote(agreement_id, 1, bytes(32))),
        seal_message(table.keys[1], Vote(agreement_id, 2, table.secrets[2])),
    )
    for signed in wrong:
        state, effects = table.give(table.collecting(), VoteReceived(signed))
        assert isinstance(state, Collecting)
        assert state.votes[1:] == (None, None)
        assert len(blames(effects)) == 1


def test_after_the_vote_no_refusal_counts_any_more(table: Table) -> None:
    draft = open_approve(table.parties[1].mine.approval).draft
    refuse = seal_message(table.keys[1], Refuse(draft, 1, Reason.POLICY, Quantity(0), ""))
    assert isinstance(table.give(table.collecting(), RefusalReceived(refuse))[0], Aborted)
    assert isinstance(table.give(table.committing(), RefusalReceived(refuse))[0], Committing)


def test_states_survive_their_bytes(table: Table) -> None:
    for state in (table.parties[1], table.gathering, table.locking(), table.voted(), table.collecting()):
        assert decode(encode(state), type(state), size_max=10**6) == state
    assert Approve.__struct_fields__[:4] == ("draft", "index", "hash", "nonce")
