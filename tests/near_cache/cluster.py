"""Three nodes: each tells of its own keys, and slots move between them."""

import contextlib
import subprocess

from servers import PATIENCE, Near, Redis, becomes, eventually, expect


@contextlib.contextmanager
def cluster():
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(Redis("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"))
                 for _ in range(3)]
        subprocess.run(["redis-cli", "--cluster", "create", *[node.address for node in nodes], "--cluster-yes"],
                       check=True, stdout=subprocess.DEVNULL, timeout=3 * PATIENCE)
        for node in nodes:
            eventually(lambda: "cluster_state:ok" in node.cli("CLUSTER", "INFO"), "the cluster is well")
        yield nodes


def write(node, key, value):
    """By the node that has the key."""
    node.cli("-c", "SET", key, value)


def owner(nodes, slot):
    """The node that serves a slot."""
    return next(node for node in nodes if "MOVED" not in node.cli("CLUSTER", "COUNTKEYSINSLOT", slot) and
                any(line.split()[2].startswith("myself") and has(line, int(slot))
                    for line in node.cli("CLUSTER", "NODES").splitlines()))


def has(line, slot):
    for part in line.split()[8:]:
        first, _, last = part.partition("-")
        if not part.startswith("[") and int(first) <= slot <= int(last or first):
            return True
    return False


def every_node_invalidates(nodes):
    with Near(nodes[0].address, timeout_ms=500) as one, Near(nodes[2].address, timeout_ms=500) as other:
        one.counted("up", 3)
        other.counted("up", 3)
        clears = one.stat()["clears"]
        for i in range(30):
            expect(one.get(f"key{i}"), "fetched absent")
        for i in range(30):
            expect(other.do(f"set key{i} value{i}"), "ok")
        for i in range(30):
            becomes(one, f"key{i}", f"= value{i}")
        assert one.stat()["clears"] == clears, "invalidations alone did that"
        for i in range(3):
            expect(one.do(f"set {{tag}}:{i} {i}"), "ok")
            becomes(other, f"{{tag}}:{i}", f"= {i}")


def slot_can_move(nodes):
    """One key at a time, as redis-cli --cluster reshard does, with gets in between; a beat tells of the end."""
    with Near(nodes[0].address, timeout_ms=200) as near:
        near.counted("up", 3)
        slot = nodes[0].cli("CLUSTER", "KEYSLOT", "{move}")
        source = owner(nodes, slot)
        target = next(node for node in nodes if node is not source)
        source_id, target_id = source.cli("CLUSTER", "MYID"), target.cli("CLUSTER", "MYID")
        for i in range(2):
            write(source, f"{{move}}{i}", "before")
            expect(near.get(f"{{move}}{i}"), "fetched = before")
        target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        source.cli("MIGRATE", "127.0.0.1", str(target.port), "{move}0", "0", "5000")
        eventually(lambda: near.get("{move}0") == "fetched = before", "what has left is asked for elsewhere")
        expect(near.get("{move}0"), "fetched = before")  # another node's link is not the one that is looked at
        assert near.stat()["asked"] >= 2, near.stat()
        expect(near.get("{move}1"), "hit = before")
        expect(near.do("set {move}0 half-way"), "ok")
        expect(near.get("{move}0"), "fetched = half-way")
        expect(near.get("{move}none"), "fetched absent")
        source.cli("MIGRATE", "127.0.0.1", str(target.port), "{move}1", "0", "5000")
        clears = near.stat()["clears"]
        for node in target, source:
            node.cli("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        eventually(lambda: near.stat()["clears"] > clears, "the move is noticed")
        assert near.stat()["moved"] == 0, near.stat()
        write(target, "{move}1", "after")
        write(target, "{move}none", "now something")
        becomes(near, "{move}1", "= after")
        becomes(near, "{move}none", "= now something")


def moved_is_followed(nodes):
    """A node that is asked before its beat has told."""
    with Near(nodes[0].address, timeout_ms=5000) as near:
        near.counted("up", 3)
        slot = nodes[0].cli("CLUSTER", "KEYSLOT", "{empty}")
        source = owner(nodes, slot)
        target = next(node for node in nodes if node is not source)
        expect(near.get("{empty}1"), "fetched absent")
        # Taking a slot that it imports, a node gets a higher epoch: the old claim cannot win any more.
        target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", source.cli("CLUSTER", "MYID"))
        for node in target, source:
            node.cli("CLUSTER", "SETSLOT", slot, "NODE", target.cli("CLUSTER", "MYID"))
        expect(near.get("{empty}2"), "fetched absent")
        assert near.stat()["moved"] == 1, near.stat()
        write(target, "{empty}1", "after")
        becomes(near, "{empty}1", "= after")


def dead_node_is_stale_and_the_others_fresh(nodes):
    with Near(nodes[0].address, timeout_ms=200, grace_ms=60000) as near:
        near.counted("up", 3)
        keys = {node.port: next(key for key in (f"k{i}" for i in range(200))
                                if owner(nodes, node.cli("CLUSTER", "KEYSLOT", key)) is node) for node in nodes}
        for key in keys.values():
            near.get(key)
        nodes[2].kill()
        eventually(lambda: near.stat()["up"] == 2, "its link is down")
        expect(near.get(keys[nodes[2].port]), "stale absent (Redis is down)")
        for node in nodes[:2]:
            expect(near.get(keys[node.port]), "hit absent")


def cluster_of_three():
    with cluster() as nodes:
        for claim in every_node_invalidates, slot_can_move, moved_is_followed, dead_node_is_stale_and_the_others_fresh:
            claim(nodes)
            print(f"ok {claim.__name__}", flush=True)
