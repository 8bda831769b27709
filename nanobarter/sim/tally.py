"""Many runs of one campaign, counted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from nanobarter.sim.campaigns import Run, run
from nanobarter.sim.memo import remembered_signatures


@dataclass
class Tally:
    """What a campaign came to. Losses count parties, all else counts runs."""

    campaign: str
    parties: tuple[int, int]
    seed: int
    runs: int = 0
    completed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    honest_losses: int = 0
    hole_losses: int = 0
    own_losses: int = 0
    restored_losses: int = 0
    owed: int = 0
    defaults: int = 0
    unproven: int = 0
    mute: int = 0
    convicted_honest: int = 0
    stuck: int = 0
    unsound: int = 0
    failures: list[int] = field(default_factory=list[int])

    def add(self, one: Run) -> None:
        """Count one run."""
        verdict = one.verdict
        self.runs += 1
        self.completed += verdict.completed
        self.outcomes[verdict.outcome] += 1
        self.honest_losses += len(verdict.honest_losses)
        self.hole_losses += len(verdict.hole_losses)
        self.own_losses += len(verdict.own_losses)
        self.restored_losses += len(verdict.restored_losses)
        self.owed += len(verdict.owed)
        self.defaults += len(verdict.defaults)
        self.unproven += len(verdict.unproven)
        self.mute += len(verdict.mute)
        self.convicted_honest += len(verdict.convicted_honest)
        self.stuck += bool(verdict.stuck)
        self.unsound += bool(verdict.unsound)
        if verdict.failed:
            self.failures.append(one.seed)

    @property
    def as_json(self) -> dict[str, object]:
        """What a script reads of it."""
        return {
            "campaign": self.campaign,
            "parties": list(self.parties),
            "seed": self.seed,
            "runs": self.runs,
            "completed": self.completed,
            "outcomes": dict(sorted(self.outcomes.items())),
            "honest_losses": self.honest_losses,
            "hole_losses": self.hole_losses,
            "own_losses_of_restored": self.own_losses,
            "losses_at_restored_issuers": self.restored_losses,
            "owed_by_honest": self.owed,
            "defaults": self.defaults,
            "defaults_unproven": self.unproven,
            "defaults_by_silence": self.mute,
            "honest_convicted": self.convicted_honest,
            "stuck": self.stuck,
            "unsound": self.unsound,
            "failures": self.failures,
        }


def campaign(
    name: str, *, parties: tuple[int, int], runs: int, seed: int, told: Callable[[Tally], None] = lambda _: None
) -> Tally:
    """Run a campaign; ``told`` after each run. The runs are numbered from ``seed`` on, so each can be told again."""
    tally = Tally(name, parties, seed)
    with remembered_signatures():
        for number in range(seed, seed + runs):
            tally.add(run(name, number, parties))
            told(tally)
    return tally
