"""At stake: the local API gives orders to the node: only its owner may speak, and nobody can wedge or crash it."""

import json
import socket
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from nanobarter.core.errors import LocalFault, PeerFault, Unreachable, UsageError
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND, Span
from nanobarter.daemon.api import Answer, Params, Routes, serve_api
from nanobarter.daemon.api_routes import routes_of
from tests.daemon.fake_node import FakeNode

TINY = Limits(api_body_bytes_max=200, api_connections_max=2, api_request_timeout=Span(5 * SECOND))


@asynccontextmanager
async def serving(path: Path, routes: Routes, limits: Limits = TINY) -> AsyncGenerator[Path]:
    async with trio.open_nursery() as nursery:
        yield await nursery.start(lambda task_status: serve_api(path, routes, limits=limits, task_status=task_status))  # type: ignore[reportUnknownLambdaType]
        nursery.cancel_scope.cancel()


async def raw(path: Path, data: bytes) -> tuple[int, list[Any]]:
    """Send bytes, read to the end; return the status and the JSON lines of the body (chunk sizes dropped)."""
    stream = await trio.open_unix_socket(str(path))
    async with stream:
        await stream.send_all(data)
        answer = b"".join([part async for part in stream])
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [json.loads(line) for line in body.splitlines() if line.startswith(b"{")]
    return int(head.split()[1]) if head else 0, lines


def request(method: str, path: str, body: object = None) -> bytes:
    text = b"" if body is None else json.dumps(body).encode()
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


async def test_answers_are_objects_of_a_type(tmp_path: Path) -> None:
    node = FakeNode()
    async with serving(tmp_path / "s", routes_of(node)) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for _, where in [key for key in routes_of(node) if key[0] == "GET"]:
            status, [answer] = await raw(path, request("GET", where))
            assert (status, answer["type"]) == (200, where.removeprefix("/v1/").replace("/", "_")), where
    assert not path.exists()


async def test_a_long_job_comes_in_lines_and_ends_with_its_result(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", routes_of(FakeNode())) as path:
        status, lines = await raw(path, request("POST", "/v1/backup", {"folders": ["/f"]}))
    assert status == 200
    assert [line["type"] for line in lines] == ["progress", "progress", "backup"]


async def test_a_job_of_a_client_that_left_is_cancelled(tmp_path: Path) -> None:
    node = FakeNode(hang=True)
    async with serving(tmp_path / "s", routes_of(node)) as path:
        stream = await trio.open_unix_socket(str(path))
        await stream.send_all(request("POST", "/v1/backup", {}))
        await stream.receive_some(1)
        await stream.aclose()
        with trio.fail_after(60):
            await node.closed.wait()
        assert (await raw(path, request("GET", "/v1/status")))[0] == 200


@pytest.mark.parametrize(
    ("trouble", "status", "kind"),
    [
        (UsageError("u", hint="h"), 400, "usage"),
        (LocalFault("l", hint="h"), 500, "local"),
        (Unreachable("n"), 504, "unreachable"),
        (PeerFault("p"), 502, "peer"),
        (ExceptionGroup("g", [UsageError("u")]), 400, "usage"),
        (KeyError("bug"), 500, "bug"),
    ],
)
async def test_each_failure_has_its_status_and_one_message(
    tmp_path: Path, trouble: Exception, status: int, kind: str
) -> None:
    async with serving(tmp_path / "s", routes_of(FakeNode(trouble=trouble))) as path:
        for asked in (request("GET", "/v1/status"), request("POST", "/v1/backup", {})):
            found, [answer] = await raw(path, asked)
            assert (found, answer["type"], answer["kind"]) == (status, "error", kind)
            assert "Traceback" not in answer["message"]


async def test_a_refusal_names_its_reason(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", routes_of(FakeNode())) as path:
        status, [answer] = await raw(path, request("GET", "/v1/report?month=never"))
    assert (status, answer["kind"], answer["reason"]) == (409, "refused", "NOT_FOUND")


async def test_a_failure_in_the_middle_is_the_last_line(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", routes_of(FakeNode())) as path:
        status, lines = await raw(path, request("POST", "/v1/restore", {"target": "/t", "snapshot": "late"}))
    assert status == 200
    assert [line["type"] for line in lines] == ["progress", "error"]
    assert lines[-1]["message"] == "the disk is full"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("GET", "/v1/nothing"), 404),
        (request("POST", "/v1/status"), 405),
        (request("GET", "/v1/status?x=1"), 400),
        (request("POST", "/v1/backup", {"folders": [1]}), 400),
        (request("POST", "/v1/backup", ["no object"]), 400),
        (request("POST", "/v1/backup", {"folders": ["x" * 300]}), 413),
        (b"POST /v1/backup HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\na: " + b"b" * 30_000, 431),
        (b"\x00\xff" * 50 + b"\r\n\r\n", 400),
    ],
    ids=range(10),
)
async def test_a_bad_request_gets_its_status_and_the_node_goes_on(tmp_path: Path, data: bytes, status: int) -> None:
    async with serving(tmp_path / "s", routes_of(FakeNode())) as path:
        found, [answer] = await raw(path, data)
        assert (found, answer["kind"]) == (status, "usage")
        assert (await raw(path, request("GET", "/v1/status")))[0] == 200


async def test_a_body_nested_without_end_does_not_stop_the_node(tmp_path: Path) -> None:
    body = b'{"folders":' + b"[" * 100_000
    head = b"POST /v1/backup HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving(tmp_path / "s", routes_of(FakeNode()), Limits()) as path:
        assert (await raw(path, head + body))[0] == 400
        assert (await raw(path, request("GET", "/v1/status")))[0] == 200


async def test_more_connections_than_allowed_wait_their_turn(tmp_path: Path) -> None:
    running, release = 0, trio.Event()
    most = 0

    async def slow(_params: Params) -> Answer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1
        return {"type": "slow"}

    async with serving(tmp_path / "s", {("GET", "/slow"): slow}) as path, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(raw, path, request("GET", "/slow"))
        while most < TINY.api_connections_max:
            await trio.lowlevel.checkpoint()
        release.set()
    assert most == TINY.api_connections_max


async def test_an_old_socket_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(tmp_path / "s"))
    async with serving(tmp_path / "s", routes_of(FakeNode())) as path:
        assert (await raw(path, request("GET", "/v1/status")))[0] == 200
    (tmp_path / "f").write_text("precious")
    with pytest.raises(LocalFault, match="is in the way"):
        await serve_api(tmp_path / "f", {})
    assert (tmp_path / "f").read_text() == "precious"
