"""Runs nbctl against a fake node over the real socket."""

import pytest
import trio

from nanobarter.cli.main import main
from nanobarter.daemon.home import Home
from tests.daemon.fake_node import FakeNode, serve_fake

Told = tuple[int, str, str]


async def spoken(node: FakeNode, home: Home, capsys: pytest.CaptureFixture[str], *arguments: str) -> Told:
    """Run nbctl in a thread against a fake node on the real socket; return its code, answer and talk."""
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_fake, home, node)
        code = await trio.to_thread.run_sync(main, ["--home", str(home.path), *arguments])
        nursery.cancel_scope.cancel()
    said = capsys.readouterr()
    return code, said.out, said.err
