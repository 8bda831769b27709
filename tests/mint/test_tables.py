"""A mint of an older version must come out of its migration with every witness in its place, or it cannot say no."""

from pathlib import Path

from nanobarter.core.ids import NoteId, RequestId, Signature, sha256
from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.mint import audit_rows, rows
from nanobarter.mint.answer_messages import SpentState
from nanobarter.mint.rows import Db, seal_of
from nanobarter.mint.tables import MIGRATIONS


def fill(db: Db) -> list[SpentState]:
    """Write spent notes as version 1 had them: three requests with one, two and three notes."""
    written = list[SpentState]()
    for number in (1, 2, 3):
        request = RequestId(sha256(b"request %d" % number))
        rows.add_request(db, request, Instant(0), Instant(1))
        for place in range(number):
            note, witness = NoteId(sha256(b"%d/%d" % (number, place))), Signature(bytes([number, place]) * 32)
            row = (1, note, 4, number, witness)
            db.execute("INSERT INTO mint_spent VALUES (?, ?, ?, ?, ?, ?)", (*row, seal_of(*row)))
            written.append(SpentState(note, request, witness))
    return written


def test_witnesses_keep_their_notes_when_they_move(tmp_path: Path) -> None:
    old = Store.open(tmp_path / "s", MIGRATIONS[:1])
    written = old.write_now(fill)
    old.close()
    new = Store.open(tmp_path / "s", MIGRATIONS)
    assert [new.read_now(lambda db, w=w: rows.find_spent(db, 1, w.note)) for w in written] == written
    assert new.read_now(lambda db: [*audit_rows.spent(db), *audit_rows.witnesses(db)]) == []
    new.close()
