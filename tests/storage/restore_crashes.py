"""A machine that dies at the n-th change a restore makes to the disk; the same command must then make it all right."""

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import trio

from nanobarter.storage import restorer
from nanobarter.storage.resume import MARKS
from tests.storage.engine import opened
from tests.storage.mortal import Life
from tests.storage.test_backup import plant, plant_sparse, rsync_says

DEEDS: Final = ("pwrite", "ftruncate", "rename", "link", "symlink", "mkdir", "mknod", "unlink", "utime", "fchmod")


class Dead(BaseException):
    """The process is gone; nothing that it would do afterwards happens."""


@contextmanager
def mortal(life: Life) -> Generator[None]:
    """Let each change of files be a deed of this life."""

    def deed(do: Callable[..., Any]) -> Callable[..., Any]:
        def done(*values: Any, **named: Any) -> Any:
            life.left -= 1
            if life.left < 0 and not (life.after and life.left == -1):
                raise Dead
            result = do(*values, **named)
            if life.left < 0:
                raise Dead
            return result

        return done

    with ExitStack() as patches:
        for name in DEEDS:
            patches.enter_context(patch.object(os, name, deed(getattr(os, name))))
        patches.enter_context(patch.object(restorer, "rename_new", deed(restorer.rename_new)))
        yield


async def sweep(folder: Path, *, first: int = 0, step: int = 1) -> int:
    """Die at each ``step``-th change from ``first`` on, before and after it, and resume; return how many deaths."""
    source = folder / "source"
    plant(source)
    plant_sparse(source)
    deaths = 0
    async with opened(folder / "home") as engine:
        made = await engine.backup(source)
        for after in (False, True):
            left = first
            while True:
                target, life = folder / f"back-{after}-{left}", Life(left, after=after)
                try:
                    with mortal(life):
                        await engine.restore(made.snapshot, target)
                except* Dead:
                    pass
                if life.dead:
                    deaths += 1
                    # The mark goes before the target's own times are set, which its going would change. Who dies just
                    # then has every file, and is told that the target is not empty.
                    finished = target.is_dir() and any(target.iterdir()) and not [*target.glob(MARKS + "*")]
                    done = await engine.restore(made.snapshot, target, overwrite=finished)
                    assert done.lost == (), (left, after, done.lost)
                assert rsync_says(source, target) == "", (left, after)
                assert not [*target.glob(MARKS + "*"), *target.rglob(".nanobarter-part-*")], (left, after)
                if not life.dead:
                    break
                left += step
    return deaths


def run(step: int) -> int:
    """Sweep in a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="nb-crash-") as folder:
        return trio.run(lambda: sweep(Path(folder), step=step))
