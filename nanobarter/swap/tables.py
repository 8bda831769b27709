"""What a node remembers of its rings: each draft's state, hashes once seen, agreements with a lock at our mint."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import AgreementId, DraftId, Hash, NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.limits import Limits
from nanobarter.core.store import Migration
from nanobarter.core.units import Instant
from nanobarter.swap import ended
from nanobarter.swap.ended import STATE_MAX, read_state
from nanobarter.swap.messages import AGREED_MAX
from nanobarter.swap.positions import agreement_in, mine_in
from nanobarter.swap.questions import Question
from nanobarter.swap.standing import NEWCOMER, Lesson, Standing, is_vetted, learned
from nanobarter.swap.states import Ended, Given, LockedReceived, State
from nanobarter.swap.terms import LOCKED_MAX, Agreement, locked_objection, open_locked

MIGRATIONS: Final = (
    Migration(
        "swap",
        1,
        """
        CREATE TABLE swap_drafts (
            draft BLOB PRIMARY KEY, agreement BLOB UNIQUE, ended INTEGER NOT NULL CHECK (ended IN (0, 1)),
            state BLOB NOT NULL, changed INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX swap_drafts_live ON swap_drafts (draft) WHERE ended = 0;
        CREATE TABLE swap_hashes (
            hash BLOB PRIMARY KEY, draft BLOB NOT NULL, until INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE swap_watched (
            agreement BLOB PRIMARY KEY, agreed BLOB NOT NULL, until INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration(
        "swap",
        2,
        """
        CREATE TABLE swap_questions (
            question BLOB PRIMARY KEY, state BLOB NOT NULL, until INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration(
        "swap",
        3,
        """
        CREATE TABLE swap_debts (
            draft BLOB PRIMARY KEY, agreed BLOB NOT NULL, arc INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration(
        "swap",
        4,
        """
        CREATE TABLE swap_standings (
            node BLOB PRIMARY KEY, kept REAL NOT NULL, broken REAL NOT NULL, at INTEGER NOT NULL,
            settled INTEGER NOT NULL, since INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX swap_standings_settled ON swap_standings (settled, at);
        """,
    ),
    Migration(
        "swap",
        5,
        """
        CREATE TABLE swap_claims ( -- LOCKED of arcs that pay us
            draft BLOB PRIMARY KEY, issuer BLOB NOT NULL, locked BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration(
        "swap",
        6,
        """
        CREATE TABLE swap_pays_under ( -- the terms of what pays us, as its issuer named them when we approved
            draft BLOB PRIMARY KEY, terms BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
    ),
    Migration("swap", 7, ended.TABLES, ended.fill),
    Migration("swap", 8, "", ended.fill),  # also of what went wrong, which was not noted at first
)

Db = sqlite3.Connection
_STANDING: Final = "SELECT kept, broken, at, settled, since FROM swap_standings"


def put_state(
    db: Db, draft: DraftId, agreement: Agreement | None, state: State, now: Instant, given: Given | None = None
) -> None:
    """Write a draft's state, and the hashes of its agreement as seen; ``given`` is the fact that led to it.

    The LOCKED of the arc that pays us is kept beside it until the draft ends, to be shown to an issuer that forgot it.
    """
    db.execute(
        "INSERT INTO swap_drafts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET ended = excluded.ended,"
        " agreement = coalesce(excluded.agreement, agreement), state = excluded.state, changed = excluded.changed",
        (draft, agreement and agreement.agreement_id, isinstance(state, Ended), encode(state), now),
    )
    if agreement is not None:
        put_hashes(db, (a.hash for a in agreement.approvals), draft, agreement.take_until)
    if isinstance(state, Ended):
        db.execute("DELETE FROM swap_claims WHERE draft = ?", (draft,))
        db.execute("DELETE FROM swap_pays_under WHERE draft = ?", (draft,))
        ended.note(db, draft, state, now)
    elif agreement is not None and isinstance(given, LockedReceived):
        paying = agreement.incoming(mine_in(state).index)
        if locked_objection(agreement, given.signed) is None and open_locked(given.signed).terms.index == paying:
            row = (draft, agreement.issuers[paying], encode(given.signed))
            db.execute("INSERT OR IGNORE INTO swap_claims VALUES (?, ?, ?)", row)


def put_pays_under(db: Db, draft: DraftId, terms: Hash) -> None:
    """Remember under which terms a draft of ours is to pay us."""
    db.execute("INSERT OR REPLACE INTO swap_pays_under VALUES (?, ?)", (draft, terms))


def pays_under(db: Db, draft: DraftId) -> Hash | None:
    """Return under which terms a draft of ours is to pay us."""
    row = db.execute("SELECT terms FROM swap_pays_under WHERE draft = ?", (draft,)).fetchone()
    return None if row is None else Hash(row[0])


def claims(db: Db, issuer: NodeId) -> list[Signed]:
    """Return the LOCKED by which an issuer shall pay us in rings that have not ended."""
    found = db.execute("SELECT locked FROM swap_claims WHERE issuer = ?", (issuer,)).fetchall()
    return [decode(blob, Signed, size_max=2 * LOCKED_MAX) for (blob,) in found]


def words_kept(db: Db) -> tuple[list[Signed], list[Signed]]:
    """Return what is kept of others' words in rings that have not ended: LOCKED of arcs that pay us, and AGREED."""
    found = db.execute("SELECT locked FROM swap_claims").fetchall()
    locked = [decode(blob, Signed, size_max=2 * LOCKED_MAX) for (blob,) in found]
    agreements = (agreement_in(state) for state in live_states(db).values())
    return locked, [agreement.signed for agreement in agreements if agreement is not None]


def put_debt(db: Db, draft: DraftId, agreement: Agreement, arc: int) -> None:
    """Remember that the giver of an arc, which is us, was paid although it came back."""
    db.execute("INSERT INTO swap_debts VALUES (?, ?, ?)", (draft, encode(agreement.signed), arc))


def debts(db: Db) -> dict[DraftId, tuple[Signed, int]]:
    """Return what is owed: the AGREED and the arc, by draft."""
    found = db.execute("SELECT draft, agreed, arc FROM swap_debts").fetchall()
    return {DraftId(d): (decode(blob, Signed, size_max=2 * AGREED_MAX), arc) for d, blob, arc in found}


def drop_debt(db: Db, draft: DraftId) -> None:
    """Forget a debt: it is paid."""
    db.execute("DELETE FROM swap_debts WHERE draft = ?", (draft,))


def find_agreed(db: Db, agreement: AgreementId) -> tuple[DraftId, State] | None:
    """Return the draft that became an agreement of ours, and its state."""
    row = db.execute("SELECT draft, state FROM swap_drafts WHERE agreement = ?", (agreement,)).fetchone()
    return None if row is None else (DraftId(row[0]), read_state(row[1]))


def put_hashes(db: Db, hashes: Iterable[Hash], draft: DraftId, until: Instant) -> None:
    """Remember to which draft hashes belong; the first one keeps them."""
    rows = [(h, draft, until) for h in hashes]
    db.executemany("INSERT INTO swap_hashes VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)


def all_fresh(db: Db, hashes: Iterable[Hash], draft: DraftId) -> bool:
    """Tell whether none of the hashes was seen in another draft."""
    find = "SELECT draft FROM swap_hashes WHERE hash = ?"
    return all(row is None or row[0] == draft for row in (db.execute(find, (h,)).fetchone() for h in hashes))


def live_states(db: Db) -> dict[DraftId, State]:
    """Return the states of all drafts that have not ended."""
    rows = db.execute("SELECT draft, state FROM swap_drafts WHERE ended = 0").fetchall()
    return {DraftId(draft): read_state(blob) for draft, blob in rows}


def find_state(db: Db, draft: DraftId) -> State | None:
    """Return a draft's state, ended or not."""
    row = db.execute("SELECT state FROM swap_drafts WHERE draft = ?", (draft,)).fetchone()
    return None if row is None else read_state(row[0])


def put_watched(db: Db, agreement: Agreement) -> None:
    """Remember whom to tell about the locks of an agreement at our mint."""
    row = (agreement.agreement_id, encode(agreement.signed), agreement.take_until)
    db.execute("INSERT INTO swap_watched VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)


def drop_watched(db: Db, agreements: Iterable[AgreementId]) -> None:
    """Forget whom to tell about the locks of agreements."""
    db.executemany("DELETE FROM swap_watched WHERE agreement = ?", [(known,) for known in agreements])


def watched(db: Db) -> list[Signed]:
    """Return the agreements with a lock at our mint."""
    found = db.execute("SELECT agreed FROM swap_watched").fetchall()
    return [decode(blob, Signed, size_max=2 * AGREED_MAX) for (blob,) in found]


def put_question(db: Db, question_id: DraftId, question: Question) -> None:
    """Write what is known of a question."""
    sql = "INSERT INTO swap_questions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state"
    db.execute(sql, (question_id, encode(question), question.expires))


def drop_questions(db: Db, known: Iterable[DraftId]) -> None:
    """Forget questions."""
    db.executemany("DELETE FROM swap_questions WHERE question = ?", [(question_id,) for question_id in known])


def questions(db: Db) -> dict[DraftId, Question]:
    """Return all questions that are remembered, over or not."""
    rows = db.execute("SELECT question, state FROM swap_questions").fetchall()
    return {DraftId(known): decode(blob, Question, size_max=STATE_MAX) for known, blob in rows}


def standing(db: Db, node: NodeId) -> Standing:
    """Return what was seen of a node."""
    row = db.execute(f"{_STANDING} WHERE node = ?", (node,)).fetchone()
    return NEWCOMER if row is None else Standing(*row)


def learn(db: Db, lessons: Iterable[Lesson], now: Instant) -> None:
    """Note what the end of a draft teaches about others."""
    for lesson in lessons:
        s = learned(standing(db, lesson.node), lesson, now)
        row = (lesson.node, s.kept, s.broken, s.at, s.settled, s.since)
        db.execute("INSERT OR REPLACE INTO swap_standings VALUES (?, ?, ?, ?, ?, ?)", row)


def vetted(db: Db, limits: Limits, now: Instant) -> int:
    """Return how many nodes are vetted."""
    found = db.execute(f"{_STANDING} WHERE settled >= ?", (limits.swap_vetted_rings,))
    return sum(is_vetted(Standing(*row), limits, now) for row in found)


def prune_standings(db: Db, most: int) -> None:
    """Forget those nodes of whom least is known, where there are too many."""
    (count,) = db.execute("SELECT count(*) FROM swap_standings").fetchone()
    sql = "DELETE FROM swap_standings WHERE node IN (SELECT node FROM swap_standings ORDER BY settled, at LIMIT ?)"
    db.execute(sql, (max(0, count - most),))


def prune(db: Db, limits: Limits, now: Instant) -> None:
    """Forget what can no longer matter: long ended drafts, and hashes and agreements whose locks have lapsed."""
    ended.forget_old(db, limits, now)
    db.execute("DELETE FROM swap_hashes WHERE until < ?", (now,))
    db.execute("DELETE FROM swap_watched WHERE until < ?", (now,))
    db.execute("DELETE FROM swap_questions WHERE until < ?", (now,))
