"""How long before its end a lease is lengthened, and its notes ordered, by how much of the time the machine is on.

Lengthening begins when a third of the term is left, and the notes for it are ordered when half of it is, since a swap
may take its time. A machine that is on for eight hours a day has eighty of them in ten days of thirty. One that is on
for less begins so much earlier that it has as many hours, but never before half of the term is left, three quarters
for the orders: issuers let a lease become smaller only in the last half of its term (``mint.rules.shrink_within``).
Nothing is lost by it, since a lease that is lengthened runs on from its old end. Pure.
"""

from typing import Final

from nanobarter.core.units import Span

ENOUGH: Final = 1 / 3  # of the time, on: eight hours a day


def renewal_lead(term_span: int, on: float = 1.0) -> Span:
    """Return how long before the end of such a term lengthening begins. ``on``: the part of the time, 0 to 1."""
    usual, earliest = term_span // 3, term_span // 2
    return Span(usual if on >= ENOUGH else int(min(earliest, max(usual, usual * ENOUGH / max(on, 1e-9)))))


def order_lead(term_span: int, on: float = 1.0) -> Span:
    """Return how long before the end the notes are ordered: half as long again."""
    usual, earliest = term_span // 2, term_span * 3 // 4
    return Span(usual if on >= ENOUGH else min(earliest, max(usual, renewal_lead(term_span, on) * 3 // 2)))
