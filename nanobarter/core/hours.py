"""Hours of the day: when a backup may start, when a limit holds. Pure; whoever asks says what time it is."""

import re
from dataclasses import dataclass
from typing import Final

ALWAYS: Final = "always"
_HOURS = re.compile(r"^([01][0-9]|2[0-3]):([0-5][0-9])\s*-\s*(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)$")
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True)
class Hours:
    """From a minute of the day until another, which may be past midnight. Equal ones are the whole day."""

    begin: int
    end: int

    def has(self, minute: int) -> bool:
        """Tell whether a minute of the day, 0 to 1439, is among them."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return self.begin == self.end or minute >= self.begin or minute < self.end


WHOLE_DAY: Final = Hours(0, 0)


def parse_hours(text: str) -> Hours:
    """Return the hours of ``"22:00-06:00"``, or the whole day for ``"always"``. Raises ValueError, naming the text."""
    if text == ALWAYS:
        return WHOLE_DAY
    found = _HOURS.match(text)
    if found is None:
        raise ValueError(f'{text!r} is not a part of the day; write it like 22:00-06:00, or "{ALWAYS}"')
    end = int(found[3]) * 60 + int(found[4]) if found[3] else _DAY_MINUTES
    return Hours(int(found[1]) * 60 + int(found[2]), end % _DAY_MINUTES)
