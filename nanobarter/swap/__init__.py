"""From a match to exchanged notes, all parties or none: RING-COMMIT."""
