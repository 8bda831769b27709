"""Every bound of the house, with its reason. Services take a ``Limits``; tests pass tiny ones.

Each part of the house keeps its bounds together under its own heading.
"""

from dataclasses import dataclass

from nanobarter.core.units import MINUTE, SECOND, Span


@dataclass(frozen=True)
class Limits:
    """The bounds in force in one node."""

    # -- store: one writer; a batch bounds how long a reader of the answer waits for the fsync
    store_batch_max: int = 256
    store_queue_max: int = 4096

    # -- network
    frame_bytes_max: int = 1024 * 1024 + 4096  # one range of a share (1 MiB) and its envelope
    call_timeout: Span = Span(20 * SECOND)  # a home line with a full upload queue answers within it

    # -- mint
    request_bytes_max: int = 128 * 1024  # 64 notes in, 64 blinded notes out, about 300 bytes each
    request_notes_max: int = 64
    request_valid_max: Span = Span(15 * MINUTE)  # how long a body that was not honoured may stay a live cheque


LIMITS = Limits()
