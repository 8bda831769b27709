"""Bounds for the chains toward one want, and which of them are made."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanobarter.matching.chains import Chain
from nanobarter.matching.levels import NONE, UNSURE, Level, Weights


@dataclass(eq=False)
class Table:
    """Bounds toward one want.

    ``values[j][v]`` bounds the logarithm of every chain of j bids that begins with one that accepts vertex v and ends
    with one that gives what is wanted; ``rows[j]`` is the same for the levels of row v alone. A round in ``made`` is
    made for some vertices only, those that are true there; elsewhere its bounds say nothing.
    """

    values: list[Weights] = field(default_factory=list[Weights])
    rows: list[Weights] = field(default_factory=list[Weights])
    made: dict[int, npt.NDArray[np.bool_]] = field(default_factory=dict[int, npt.NDArray[np.bool_]])
    hops: dict[tuple[int, int], tuple[Level, int] | None] = field(
        default_factory=dict[tuple[int, int], "tuple[Level, int] | None"]
    )
    chains: dict[int, "Chain | None"] = field(default_factory=dict[int, "Chain | None"])
    seen: int = 0

    def forget_last(self) -> None:
        """Leave the last round to be made anew, for each start that is asked for again."""
        steps = len(self.rows) - 1
        self.made[steps][:] = False
        self.chains.clear()
        self.hops = {key: hop for key, hop in self.hops.items() if key[1] < steps}

    def withstands(self, row: int, target: int, weight: float) -> bool:
        """Tell whether a change of a top, of so much weight before or after, cannot have moved a bound or a hop.

        What was not made cannot be moved. A row that was made when nothing was known of the target is forgotten.
        """
        whole = len(self.rows) - len(self.made)
        for before, after in zip(self.values, self.rows[1:whole], strict=False):
            value = before[target]
            if value > NONE and weight + value >= after[row] - UNSURE:
                return False
        for step, made in self.made.items():
            known = self.made.get(step - 1)
            if made[row] and known is not None and not known[target]:
                self.forget_last()
            elif made[row]:
                value = self.values[step - 1][target]
                if value > NONE and weight + value >= self.rows[step][row] - UNSURE:
                    return False
        return True
