"""At stake: a demo that fails before a newcomer's eyes, since two of its daemons were told to listen at one port."""

import socket
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from nanobarter.cli.demo_nodes import free_address


def test_no_two_nodes_get_one_port_though_the_system_finds_it_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = iter([1, 1, 1, 2, 1, 2, 3])

    class Server:
        def getsockname(self) -> tuple[str, int]:
            return "127.0.0.1", next(ports)

    @contextmanager
    def find(_address: tuple[str, int]) -> Generator[Server]:
        yield Server()

    monkeypatch.setattr(socket, "create_server", find)
    assert [free_address() for _ in range(3)] == [f"127.0.0.1:{port}" for port in (1, 2, 3)]
