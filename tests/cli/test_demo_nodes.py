"""At stake: a demo that fails before a newcomer's eyes, since one of its daemons was told to listen at a taken port."""

import socket

import pytest

from nanobarter.cli.demo_nodes import free_address


def test_an_address_is_kept_for_its_daemon_and_given_to_nobody_else() -> None:
    host, _, port = free_address().partition(":")
    for _ in range(2):  # a daemon that is killed and started again
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((host, int(port)))
        with socket.create_server((host, int(port))):
            pass
