"""A node as an issuer: the production rules on the production tables, and the pushes of swap.pushing.

What is left out is what the daemon's desk adds for many requests at once, and the blind signatures of a take.
"""

from collections.abc import Callable, Sequence

from nanobarter.core.ids import AgreementId, NodeId
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import Instant, Span, after
from nanobarter.mint import operations
from nanobarter.mint.answer_messages import Answer, Minted
from nanobarter.mint.answers import Speaker
from nanobarter.mint.authority import authorise
from nanobarter.mint.events import LockMade, LockOpened, LockReturned, MintEvent
from nanobarter.mint.messages import BlindOutput, OpenBody
from nanobarter.mint.outcomes import Case, Done, No
from nanobarter.mint.recall import replay
from nanobarter.mint.rules import epoch_of
from nanobarter.sim.node import Node
from nanobarter.sim.post import Post
from nanobarter.sim.purse import case_of
from nanobarter.swap import tables
from nanobarter.swap.terms import Agreement, agreement_of, open_locked

Hear = Callable[[Node, str, Signed, Callable[[bool], None]], None]
"""The party of a node takes a message and tells whether it is recorded or of no use."""
Relay = Callable[[Node, Case, Callable[[Signed], None]], None]
"""The mint of another node takes a request and answers."""


class Voice(Speaker):
    """The mint's own speaker, but for the blind signatures: see ``people``."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def _minted(self, case: Case, at: Instant, outputs: Sequence[BlindOutput | None]) -> Answer:
        return Minted(case.request, at, epoch_of(at), (b"",) * len(outputs))


class Issuer:
    """The mint of a node. ``hear`` and ``relay`` reach the parties and mints of all nodes."""

    def __init__(self, node: Node, post: Post, hear: Hear, relay: Relay) -> None:
        self.node, self.post, self.hear, self.relay = node, post, hear, relay
        self.voice = Voice(node.key)
        self.watched = dict[AgreementId, Agreement]()
        node.forget.append(self.watched.clear)
        node.resume.append(self._load)

    def _load(self) -> None:
        self.watched = {a.agreement_id: a for a in map(agreement_of, tables.watched(self.node.db))}

    def watch(self, agreement: Agreement, then: Callable[[], None]) -> None:
        """Remember durably whom to tell of the locks of an agreement."""
        if agreement.agreement_id in self.watched:
            then()
            return

        def known(_: None) -> None:
            self.watched[agreement.agreement_id] = agreement
            then()

        self.node.write(lambda db: tables.put_watched(db, agreement), known)

    def known(self) -> list[Agreement]:
        """Return the agreements that the disk remembers."""
        return [agreement_of(signed) for signed in tables.watched(self.node.db)]

    # -- requests

    def handle(self, case: Case, answer: Callable[[Signed], None]) -> None:
        """Look up, authorise, commit, sign, answer, push: the order of the daemon's mint."""
        node, book = self.node, self.node.person.book
        before = replay(node.db, book, case, node.now)
        if before is None and (refused := authorise(node.db, book, case)) is not None:
            before = No(refused, node.now)
        if before is not None:
            self._say(case, Done(before), answer)
            return
        node.stay_alive()
        node.write(lambda db: operations.apply(db, book, case, node.now), lambda done: self._say(case, done, answer))

    def _say(self, case: Case, done: Done, answer: Callable[[Signed], None]) -> None:
        signed, event = self.voice.say(case, done)
        answer(signed)
        if event is not None and self.node.up:
            self.heard(event)

    # -- pushes, as in swap.pushing

    def heard(self, event: MintEvent) -> None:
        """Pass on what the mint has just made durable."""
        match event:
            case LockMade(locked):
                terms = open_locked(locked).terms
                agreement = self.watched.get(terms.agreement)
                if agreement is not None and agreement.nodes[terms.index] != self.node.node:
                    self.push(agreement, "swap.locked", locked)
            case LockOpened(terms, preimages, receipt):
                if (agreement := self.watched.get(terms.agreement)) is not None:
                    self.push(agreement, "swap.opened", receipt)
                    self.open_others(agreement, terms.index, preimages, receipt)
            case LockReturned(terms, _, receipt):
                if (agreement := self.watched.get(terms.agreement)) is not None:
                    self.push(agreement, "swap.opened", receipt)
            case _:
                pass

    def push(self, agreement: Agreement, method: str, signed: Signed) -> None:
        """Send a receipt to all parties, until they have it or a few tries are over."""
        for to in agreement.nodes:
            self._tell(to, method, signed, LIMITS.swap_push_tries, LIMITS.swap_retry_first)

    def _tell(self, to: NodeId, method: str, signed: Signed, tries: int, pause: Span) -> None:
        def again() -> None:
            if tries > 1:
                self.node.later(pause, lambda: self._tell(to, method, signed, tries - 1, Span(2 * pause)))

        def known(recorded: bool) -> None:  # noqa: FBT001 - an answer
            if not recorded:
                again()

        if self.node.up and not self.node.crashes(self.node):
            self.post.ask(self.node, to, lambda other, give: self.hear(other, method, signed, give), known, again)

    def open_others(self, agreement: Agreement, index: int, preimages: tuple[bytes, ...], receipt: Signed) -> None:
        """Show the secrets to the issuers of the other arcs, with our receipt as the proof."""
        for terms in agreement.terms:
            if terms.index != index:
                valid = after(self.node.now, Span(LIMITS.request_valid_max // 2))
                case = case_of(OpenBody(terms.issuer, valid, terms.lock_id, preimages, receipt))
                self._open(terms.issuer, case, LIMITS.swap_push_tries, LIMITS.swap_retry_first)

    def _open(self, issuer: NodeId, case: Case, tries: int, pause: Span) -> None:
        def again() -> None:
            if tries > 1:
                self.node.later(pause, lambda: self._open(issuer, case, tries - 1, Span(2 * pause)))

        if self.node.up and not self.node.crashes(self.node):
            self.post.ask(self.node, issuer, lambda other, give: self.relay(other, case, give), lambda _: None, again)
