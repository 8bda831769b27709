"""What the log tells of each backup: that it began, and how it ended, with its figures."""

import logging
from collections.abc import Awaitable

import trio

from nanobarter.daemon.facade_backup import BackupDone

_log = logging.getLogger(__name__)


async def in_words(backup: Awaitable[BackupDone]) -> BackupDone:
    """Wait for a backup and log its beginning and end; raises what it raises."""
    _log.info("backup began")
    try:
        done = await backup
    except trio.Cancelled:
        _log.info("backup was interrupted; what it stored stays")
        raise
    except Exception as error:
        _log.warning("backup failed: %s", error)
        raise
    counts = (done.outcome, done.unread_count, done.files, done.size_bytes, done.new_bytes)
    text = "backup ended, %s (%d unread): %d files, %d bytes, %d new bytes in %d packs, %d shares, %.1f s"
    _log.info(text, *counts, done.packs, done.shares, done.seconds)
    return done
