"""Which bytes of an unfinished share have arrived."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ranges:
    """Half-open byte ranges, sorted, apart from each other."""

    spans: tuple[tuple[int, int], ...] = ()

    def with_range(self, start: int, end: int) -> "Ranges":
        """Return these and one more, joined with those that it touches."""
        touching = [span for span in self.spans if span[0] <= end and start <= span[1]]
        apart = [span for span in self.spans if span not in touching]
        joined = (min([start, *(a for a, _ in touching)]), max([end, *(b for _, b in touching)]))
        return Ranges(tuple(sorted([*apart, joined])))

    def covers(self, start: int, end: int) -> bool:
        """Tell whether all bytes of a range are here."""
        return any(a <= start and end <= b for a, b in self.spans)
