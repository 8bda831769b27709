"""``python -m tests.e2e.nats --router cone|symmetric --json``: two daemons behind two routers barter and back up.

    host a -- router a --+-- internet 11.0.0.0/24 --+-- router b -- host b
                         |                          |
                         +--------- host c ---------+        (a node that both know, and that relays)

All in network namespaces of its own, made and forgotten by ``unshare``. The routers are nftables: they masquerade, and
drop what nobody asked for. ``cone`` keeps the port of a machine whomever it talks with, as most home routers do, so
that the two meet by simultaneous open; ``symmetric`` takes a random one for each connection, so that only a relay is
left. ``--bare`` leaves the market out: nodes that only call each other, in seconds instead of a minute.

The last line is one JSON object; exit 1 when they did not back up, or not by that path; 77 when the machine does not
allow it, with the reason. Needs unshare, ip, nft and nsenter.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from nanobarter.cli.demo_nodes import Node, Stage, nbctl
from nanobarter.cli.node import daemon_command, said_path, wait_until
from nanobarter.daemon.config import Backup, Bots, Config, Market, Offer, Swap
from nanobarter.daemon.config_network import Network

PORT = 4773
MIDDLE = f"11.0.0.10:{PORT}"
SECONDS = 120.0
SKIPPED = 77
TOOLS = ("unshare", "ip", "nft", "nsenter", "mount")
ALONE = ("unshare", "--map-root-user", "--net", "--mount")
SWAP = Swap(approve="5s", lock="10s", vote="15s", delta="15s")
PATHS = {"cone": "met", "symmetric": "relay"}
RULES = """
table ip home {
  chain out { type nat hook postrouting priority 100; oifname "wan" masquerade %s; }
  chain in { type filter hook input priority 0; iifname "wan" ct state established,related accept; iifname "wan" drop; }
  chain through {
    type filter hook forward priority 0;
    iifname "wan" ct state established,related accept; iifname "wan" drop;
  }
}
"""
TRIAL = "mount -t tmpfs none /run && ip netns add trial && ip link add one type veth peer name two && nft list ruleset"


def why_not() -> str:
    """Return why this machine cannot run it; empty when it can."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {' '.join(missing)}"
    rules = RULES % "fully-random"
    tried = subprocess.run(
        [*ALONE, "sh", "-c", f"{TRIAL} && nft -f -"], input=rules, capture_output=True, text=True, check=False
    )
    return tried.stderr.strip()[-200:] or "not permitted" if tried.returncode else ""


def run(*words: str, into: str = "") -> None:
    subprocess.run(words, input=into, text=True, check=True, stdout=subprocess.DEVNULL)


def within(space: str) -> tuple[str, ...]:
    return ("nsenter", f"--net=/run/netns/{space}")


def join(space: str, name: str, far: str, far_name: str, address: str, *, bridge: bool = False) -> None:
    """Lay a cable from an interface of a namespace to one of another, or to the internet's bridge."""
    run("ip", "link", "add", "x1", "type", "veth", "peer", "name", "x2")
    run("ip", "link", "set", "x1", "netns", space, "name", name)
    run(*within(space), "ip", "addr", "add", address, "dev", name)
    run(*within(space), "ip", "link", "set", name, "up")
    if bridge:
        run("ip", "link", "set", "x2", "name", far_name, "master", "internet", "up")
    else:
        run("ip", "link", "set", "x2", "netns", far, "name", far_name)


def lay_out(router: str) -> None:
    """Make the hosts, the routers and the internet between them."""
    run("mount", "-t", "tmpfs", "none", "/run")
    run("ip", "link", "add", "internet", "type", "bridge")
    run("ip", "link", "set", "internet", "up")
    for space in ("a", "b", "c", "ra", "rb"):
        run("ip", "netns", "add", space)
        run(*within(space), "ip", "link", "set", "lo", "up")
    join("c", "wan", "", "tc", "11.0.0.10/24", bridge=True)
    for number, name in ((1, "a"), (2, "b")):
        home = f"r{name}"
        join(home, "wan", "", f"t{name}", f"11.0.0.{number}/24", bridge=True)
        join(name, "eth", home, "lan", f"192.168.{number}.2/24")
        run(*within(home), "ip", "addr", "add", f"192.168.{number}.1/24", "dev", "lan")
        run(*within(home), "ip", "link", "set", "lan", "up")
        run(*within(name), "ip", "route", "add", "default", "via", f"192.168.{number}.1")
        run(*within(home), "sysctl", "-qw", "net.ipv4.ip_forward=1")
        run(*within(home), "nft", "-f", "-", into=RULES % ("fully-random" if router == "symmetric" else ""))


def launch(node: Node, space: str) -> None:
    """Start a daemon in a namespace."""
    with said_path(node.home).open("wb") as said:
        command = [*within(space), *daemon_command(node.home)]
        node.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)


def path_to(node: Node, other: Node) -> str:
    told: dict[str, Any] = node.ask("/v1/peers") or {"peers": []}
    return next((row["path"] for row in told["peers"] if row["node"] == other.node and row["connected"]), "")


def story(stage: Stage, router: str) -> dict[str, object]:
    """Let the two find each other, barter and back up; return what came of it."""
    lay_out(router)
    middle_network = Network(listen=f"0.0.0.0:{PORT}", advertise=(MIDDLE,), map_port=False, relay="open")
    middle = stage.add("c", Config(bots=Bots(keeper="off"), swap=SWAP, network=middle_network), MIDDLE)
    network = Network(listen=f"0.0.0.0:{PORT}", bootstrap=(MIDDLE,), map_port=False, relay="off")
    pair = list[Node]()
    for name in "ab":
        folder = stage.folder / f"folder of {name}"
        folder.mkdir()
        (folder / "diary").write_bytes(name.encode() * 300_000)
        backup = Backup(folders=(str(folder),))
        config = Config(
            backup=backup, offer=Offer(space="1GB"), market=Market(reserve="0B"), swap=SWAP, network=network
        )
        pair.append(stage.add(name, config, ""))
    for node, space in ((middle, "c"), (pair[0], "a"), (pair[1], "b")):
        launch(node, space)
        node.wait_up()
    began, codes = time.monotonic(), list[int]()
    for node in pair:
        code, _ = nbctl("--home", str(node.home.path), "backup")
        codes.append(code)
    took = time.monotonic() - began
    wanted = PATHS[router]
    wait_until(lambda: wanted in path_to(pair[0], pair[1]) and wanted in path_to(pair[1], pair[0]), SECONDS)
    paths = [path_to(pair[0], pair[1]), path_to(pair[1], pair[0])]
    return {
        "type": "nats",
        "router": router,
        "ok": codes == [0, 0] and all(wanted in path for path in paths),
        "backup_codes": codes,
        "backups_s": round(took, 1),
        "paths": paths,
    }


def meet(router: str) -> dict[str, object]:
    """Let bare nodes meet, without the market: seconds instead of a minute."""
    lay_out(router)
    nodes = list[subprocess.Popen[str]]()
    try:
        for number, space, more in ((1, "c", ()), (2, "a", (MIDDLE,)), (3, "b", (MIDDLE,))):
            command = [
                *within(space),
                sys.executable,
                "-m",
                "tests.e2e.nat_node",
                str(number),
                f"0.0.0.0:{PORT}",
                *more,
            ]
            nodes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        _, a, b = [_hear(node) for node in nodes]
        paths = [_say(nodes[1], b), _say(nodes[2], a)]
    finally:
        for node in nodes:
            node.kill()
            node.wait()
    return {"type": "nats", "router": router, "ok": all(PATHS[router] in path for path in paths), "paths": paths}


def _hear(node: subprocess.Popen[str]) -> str:
    assert node.stdout is not None
    return node.stdout.readline().strip()


def _say(node: subprocess.Popen[str], line: str) -> str:
    assert node.stdin is not None
    node.stdin.write(f"{line}\n")
    node.stdin.flush()
    return _hear(node)


def inside(router: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="nats-") as folder:
        stage = Stage(Path(folder) / "stage")
        stage.folder.mkdir()
        try:
            told = story(stage, router)
            if not told["ok"]:
                told["logs"] = [node.home.log_path.read_text()[-3000:] for node in stage.nodes]
        finally:
            stage.close(keep=False)
    return told


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.nats")
    parser.add_argument("--router", choices=PATHS, default="cone")
    parser.add_argument("--bare", action="store_true", help="nodes of the network alone, which only call each other")
    parser.add_argument("--inside", action="store_true", help="the namespaces are made already")
    parser.add_argument("--json", action="store_true", help="accepted: the answer is JSON anyway")
    asked = parser.parse_args()
    if asked.inside:
        told = (meet if asked.bare else inside)(asked.router)
        print(json.dumps(told))  # noqa: T201 - the line that other programs read
        return 0 if told["ok"] else 1
    if reason := why_not():
        print(json.dumps({"type": "nats", "skipped": reason}))  # noqa: T201 - the line that other programs read
        return SKIPPED
    again = [
        sys.executable,
        "-m",
        "tests.e2e.nats",
        "--router",
        asked.router,
        "--inside",
        *(["--bare"] if asked.bare else []),
    ]
    return subprocess.run([*ALONE, *again], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
