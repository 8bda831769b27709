"""Which items one node has and another lacks, found by comparing prints of ranges of ids. Pure.

After negentropy (Doug Hoyte's range-based set reconciliation; A. Meyer, 2022), with ranges that are prefixes:

    asker                                    answerer
    print of everything               ->
                                      <-     print of each of 2^a parts, if it differs
    of each part that differs,
    prints of its 2^b parts           ->
                                      <-     short names of all ids in the parts that differ

The asker then knows what it lacks and what the other one lacks. Equal sets cost one print, and with 10,000 ids and 20
differences two questions and about 2 KB. Ranges only ever get smaller, so it ends whatever the other one says.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash
from nanobarter.gossip.ids import (
    DEPTH_MAX,
    PRINT_BYTES,
    SHORT_BYTES,
    WHOLE,
    IdSet,
    Reach,
    prefix_of,
    print_of,
    short_of,
)
from nanobarter.gossip.messages import (
    LIST_CROWDED_MAX,
    LIST_MAX,
    PARTS_MAX,
    PRINTS_MAX,
    CompareAnswer,
    CompareRequest,
    Listed,
    Part,
    split_names,
)

_CUT_STEP_MAX: Final = 7  # at most 128 parts in one step: 512 bytes, before it is known how little differs
_FILL: Final = 10  # ids in a part of the last cut, on average; longer lists cost more than they save in prints
_PRINTS_MAX: Final = 1 << 16  # looked at in one comparison: enough for 400,000 items, and 0.3 s of CPU for a liar
_QUESTIONS_MAX: Final = 64  # a newcomer to 100,000 items needs about 20; a liar gets no more than these


def cut_for(count: int, depth: int) -> int:
    """Return into how many parts, as a power of two, a range with so many ids is best cut."""
    needed = ((count - 1) // _FILL).bit_length() if count > LIST_MAX else 0
    return min(needed, _CUT_STEP_MAX, DEPTH_MAX - depth)


def part_of(ids: IdSet, salt: bytes, reach: Reach, cut: int) -> Part:
    """Return a range with the prints of its parts."""
    prints = b"".join(print_of(salt, ids.within(part)) for part in reach.parts(cut))
    return Part(reach.depth, reach.number, cut, prints)


def listed(ids: IdSet, salt: bytes, reach: Reach) -> Listed:
    """Return the short names of all ids in a range."""
    known = ids.within(reach)[:LIST_CROWDED_MAX]
    return Listed(reach.depth, reach.number, b"".join(short_of(salt, prefix_of(item_id)) for item_id in known))


def differing(ids: IdSet, salt: bytes, part: Part) -> list[Reach]:
    """Return the parts of a range in which we have other ids. Raises Malformed when the part is not well made."""
    if part.depth + part.cut > DEPTH_MAX or part.number >> part.depth or len(part.prints) != PRINT_BYTES << part.cut:
        raise Malformed(f"a range of depth {part.depth}, cut by {part.cut}, with {len(part.prints)} bytes of prints")
    theirs = split_names(part.prints, PRINT_BYTES)
    reaches = part.reach.parts(part.cut)
    return [reach for reach, seen in zip(reaches, theirs, strict=True) if seen != print_of(salt, ids.within(reach))]


def answer(ids: IdSet, request: CompareRequest) -> CompareAnswer:
    """Return what differs of the ranges asked about. Raises Malformed when the question is not well made."""
    if sum(1 << part.cut for part in request.parts) > PRINTS_MAX:
        raise Malformed("more prints than one question may have")
    parts, lists = list[Part](), list[Listed]()
    for part in request.parts:
        for reach in differing(ids, request.salt, part):
            count = ids.count(reach)
            if count <= LIST_MAX or reach.depth == DEPTH_MAX:
                lists.append(listed(ids, request.salt, reach))
            else:
                parts.append(part_of(ids, request.salt, reach, max(cut_for(count, reach.depth), 1)))
    return CompareAnswer(tuple(parts), tuple(lists))


class Comparison:
    """The asking side. Ask ``question`` until it is None, and give each answer to ``take``.

    ``lacking`` then are short names of what we lack, ``surplus`` the ids that the other one lacks.
    """

    def __init__(self, ids: IdSet, salt: bytes, unwanted: Callable[[], Iterable[bytes]] = tuple) -> None:
        self._ids, self.salt = ids, salt
        self._unwanted = unwanted  # prefixes of ids that we refused; asked for only when something is lacking
        self._refused: set[bytes] | None = None
        self._to_ask = deque([part_of(ids, salt, WHOLE, 0)])
        self._asked = set[Reach]()
        self._prints = self._questions = 0
        self.lacking = list[Listed]()
        self.surplus = list[Hash]()

    def question(self) -> CompareRequest | None:
        """Return what to ask next."""
        self._questions += 1
        if self._questions > _QUESTIONS_MAX:
            return None
        chosen, prints = list[Part](), 0
        while self._to_ask and len(chosen) < PARTS_MAX and prints + (1 << self._to_ask[0].cut) <= PRINTS_MAX:
            part = self._to_ask.popleft()
            chosen.append(part)
            prints += 1 << part.cut
            self._asked.update(part.reach.parts(part.cut))
        return CompareRequest(self.salt, tuple(chosen)) if chosen else None

    def take(self, said: CompareAnswer) -> None:
        """Take the answer to the last question. Raises Malformed when it is about something else, or without end."""
        for part in said.parts:
            self._expected(part.reach)
            if part.cut == 0:
                raise Malformed("an answer that cuts nothing")
            self._prints += 1 << part.cut
            if self._prints > _PRINTS_MAX:
                raise Malformed("more ranges than any two books have")
            for reach in differing(self._ids, self.salt, part):
                cut = cut_for(self._ids.count(reach), reach.depth)
                self._to_ask.append(part_of(self._ids, self.salt, reach, cut))
        for entry in said.lists:
            self._expected(entry.reach)
            self._trade(entry)
        self._asked.clear()

    def _expected(self, reach: Reach) -> None:
        if reach not in self._asked:
            raise Malformed("an answer about a range that was not asked about, or the second one")
        self._asked.discard(reach)

    def _trade(self, entry: Listed) -> None:
        ours = {short_of(self.salt, prefix_of(item_id)): item_id for item_id in self._ids.within(entry.reach)}
        theirs = set(split_names(entry.shorts, SHORT_BYTES))
        if len(theirs) < LIST_CROWDED_MAX:
            self.surplus += [item_id for short, item_id in ours.items() if short not in theirs]
        lacking = [short for short in theirs if short not in ours]
        if lacking and self._refused is None:
            self._refused = {short_of(self.salt, prefix) for prefix in self._unwanted()}
        lacking = [short for short in lacking if short not in (self._refused or ())]
        if lacking:
            self.lacking.append(Listed(entry.depth, entry.number, b"".join(sorted(lacking))))


def named(ids: IdSet, salt: bytes, wanted: Listed) -> list[Hash]:
    """Return the ids that the short names of a list mean. Raises Malformed for a range that there is not."""
    if wanted.number >> wanted.depth:
        raise Malformed(f"range {wanted.number} of depth {wanted.depth}")
    shorts = set(split_names(wanted.shorts, SHORT_BYTES))
    return [item_id for item_id in ids.within(wanted.reach) if short_of(salt, prefix_of(item_id)) in shorts]
