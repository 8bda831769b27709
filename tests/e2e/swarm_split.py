"""The story ``split`` of ``swarm``: the cable between two halves of a network is cut, and laid again.

    n0, n2, n4 ... -- left ====== right -- n1, n3, n5 ...

Each daemon has a network namespace of its own, made and forgotten by ``unshare``. Nothing is told when the cable is
cut: packets are lost, as when a provider fails. While they are apart everybody posts a bid, and takes back the one
from before. Within each half all must know that; when the cable is there again, everybody all, and nothing that was
taken back may return. Needs unshare, ip and nsenter.
"""

from nanobarter.cli.demo_nodes import Stage
from tests.e2e.nats import launch, run, within
from tests.e2e.swarm_nodes import build, each, post_all, take_back, wait_all_know, wait_parted, wait_up

PORT = 4773


def lay_out(count: int) -> None:
    """Make a namespace for each node, and the two bridges with the cable between them."""
    run("mount", "-t", "tmpfs", "none", "/run")
    run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "elbac")
    for side, end in (("left", "cable"), ("right", "elbac")):
        run("ip", "link", "add", side, "type", "bridge")
        run("ip", "link", "set", side, "up")
        run("ip", "link", "set", end, "master", side, "up")
    for number in range(count):
        space = f"n{number}"
        run("ip", "netns", "add", space)
        run("ip", "link", "add", f"t{number}", "type", "veth", "peer", "name", "x")
        run("ip", "link", "set", "x", "netns", space, "name", "eth")
        run(*within(space), "ip", "addr", "add", f"11.0.0.{number + 1}/24", "dev", "eth")
        for device in ("lo", "eth"):
            run(*within(space), "ip", "link", "set", device, "up")
        run("ip", "link", "set", f"t{number}", "master", ("left", "right")[number % 2], "up")


def split(stage: Stage, *, nodes: int, wait: float) -> dict[str, object]:
    """Run the story; return the figures."""
    lay_out(nodes)
    build(stage, [f"11.0.0.{number + 1}:{PORT}" for number in range(nodes)])
    for node in stage.nodes:
        launch(node, node.name)
    each(stage.nodes, wait_up)
    halves = stage.nodes[::2], stage.nodes[1::2]
    old = post_all(stage.nodes)
    _, missing = wait_all_know(stage.nodes, set(old.values()), wait)
    run("ip", "link", "set", "cable", "down")
    for node in stage.nodes:
        take_back(node, old[node.name])
    new = post_all(stage.nodes)
    apart_s, apart_missing = 0.0, 0
    for half in halves:
        names = [node.name for node in half]
        took, wrong = wait_all_know(half, {new[name] for name in names}, wait, gone={old[name] for name in names})
        apart_s, apart_missing = max(apart_s, took), apart_missing + wrong
    parted_s = wait_parted(halves[0], halves[1], wait) + wait_parted(halves[1], halves[0], wait)
    _, unknown = wait_all_know(halves[0], {new[node.name] for node in halves[1]}, 0)  # or the cable was never cut
    run("ip", "link", "set", "cable", "up")
    healed_s, healed_missing = wait_all_know(stage.nodes, set(new.values()), wait, gone=set(old.values()))
    return {
        "type": "swarm",
        "story": "split",
        "ok": bool(unknown) and not (missing or apart_missing or healed_missing),
        "nodes": nodes,
        "half_knows_s": round(apart_s, 1),
        "given_up_after_s": round(parted_s, 1),
        "healed_know_s": round(healed_s, 1),
        "missing": missing + apart_missing + healed_missing,
    }
