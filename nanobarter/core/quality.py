"""A quality: what a note promises, "space at this issuer for this long"."""

from nanobarter.core.canonical import Record
from nanobarter.core.ids import NodeId, show_node
from nanobarter.core.units import LeaseKind


class Quality(Record, frozen=True, order=True):
    """One currency of the network: an issuer and a lease kind. Amounts of it are whole MiB."""

    issuer: NodeId
    kind: LeaseKind

    def __str__(self) -> str:
        return f"{self.kind}:{show_node(self.issuer)}"
