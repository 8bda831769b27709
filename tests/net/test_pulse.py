"""A dead peer must be noticed soon, an idle one must cost next to nothing, and a router that forgets must be learnt."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.limits import LIMITS
from nanobarter.core.units import SECOND
from nanobarter.net.pulse import Pulse, Rhythm, Sign

FIRST, LAST = LIMITS.idle_before_ping / SECOND, LIMITS.idle_before_ping_last / SECOND
PATIENCE = LIMITS.silence_max / SECOND


def idle(pulse: Pulse, now: float, until: float, *, forgets: float = float("inf")) -> tuple[float, int]:
    """Live through idle time; each ping is answered unless the silence before it was too long for the router."""
    pings = 0
    while now < until:
        now = pulse.next_look(busy=False)
        silence = now - pulse.last_heard
        match pulse.look(now, busy=False):
            case Sign.PING:
                pings += 1
                pulse.pinged(now)
                if silence < forgets:
                    now += 0.05
                    pulse.heard(now)
                    pulse.ponged(now)
            case Sign.CLOSE:
                return now, pings
            case Sign.NOTHING:
                raise AssertionError
    return now, pings


def test_a_day_of_idleness_costs_few_pings() -> None:
    pulse = Pulse(LIMITS, Rhythm(LIMITS), 0.0)
    _, pings = idle(pulse, 0.0, 86_400.0)
    assert pings <= 86_400 / LAST + 10
    assert pulse.latency is not None
    assert abs(pulse.latency - 0.05) < 1e-6


def test_a_router_that_forgets_after_five_minutes_is_learnt_for_all_connections() -> None:
    rhythm, now, lost = Rhythm(LIMITS), 0.0, 0
    for _ in range(30):
        pulse = Pulse(LIMITS, rhythm, now)
        now, _ = idle(pulse, now, now + 86_400.0, forgets=300.0)
        lost += pulse.waits
    # Each loss is found within the patience, and teaches all; the edge is tried again only now and then.
    assert lost <= 40
    assert FIRST <= rhythm.ceiling <= 400


def test_a_dead_peer_is_noticed_soon_while_a_call_waits() -> None:
    rhythm = Rhythm(LIMITS)
    pulse = Pulse(LIMITS, rhythm, 0.0)
    now = pulse.next_look(busy=True)
    assert now <= PATIENCE / 2
    assert pulse.look(now, busy=True) is Sign.PING
    pulse.pinged(now)
    assert pulse.look(now + PATIENCE - 0.1, busy=True) is Sign.NOTHING
    assert pulse.look(now + PATIENCE, busy=True) is Sign.CLOSE


def test_a_write_that_stands_still_ends_the_connection() -> None:
    pulse = Pulse(LIMITS, Rhythm(LIMITS), 0.0)
    pulse.writing_since = 3.0
    assert pulse.look(3.0 + PATIENCE, busy=True) is Sign.CLOSE


@given(st.lists(st.tuples(st.sampled_from(["heard", "ponged", "ping", "look"]), st.integers(0, 2000)), max_size=60))
def test_a_look_is_due_when_it_says_so_and_never_pings_twice(facts: list[tuple[str, int]]) -> None:
    pulse, now = Pulse(LIMITS, Rhythm(LIMITS), 0.0), 0.0
    for fact, pause in facts:
        now += pause
        if fact == "heard":
            pulse.heard(now)
        elif fact == "ponged":
            pulse.heard(now)
            pulse.ponged(now)
        elif fact == "ping" and not pulse.waits:
            pulse.pinged(now)
        due = pulse.next_look(busy=False)
        sign = pulse.look(now, busy=False)
        assert (sign is not Sign.NOTHING) == (due <= now)
        assert not (sign is Sign.PING and pulse.waits)
        assert due <= max(pulse.last_heard, now) + LAST + PATIENCE
