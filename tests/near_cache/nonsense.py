"""Servers that are no Redis, or stop being one: near_cache says so, stays alive, and recovers."""

import concurrent.futures
import os
import socket
import subprocess

from servers import Fake, Near, bulk, eventually, expect

PROGRAM = os.environ.get("NEAR_CACHE", "target/examples/near_cache")


def refused(address, *words, timeout_ms=20):
    """near_cache ends with 1, and says the words."""
    done = subprocess.run([PROGRAM, "--redis", address, "--timeout-ms", str(timeout_ms), "commands"],
                          capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=30)
    assert done.returncode == 1, done
    for word in words:
        assert word in done.stderr, f"'{word}' is not in {done.stderr}"


def no_redis_is_said_at_the_start():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused(f"127.0.0.1:{silent.getsockname()[1]}", "no Redis 6 or later at 127.0.0.1", "HELLO 3")
        closed = silent.getsockname()[1]
    refused(f"127.0.0.1:{closed}", "Connection refused")
    refused("no.such.host.invalid:6379", "no Redis 6 or later at no.such.host.invalid")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(greeting_is_refused, (
            (b"-ERR unknown command 'HELLO'\r\n", "ERR unknown command"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "Protocol error"),
            (b"-NOAUTH HELLO must be called with the client already authenticated\r\n", "NOAUTH"),
            (None, "closed the connection"),
        )))


def greeting_is_refused(pair):
    greeting, words = pair
    with Fake(lambda *_: greeting, greet=False) as fake:
        refused(fake.address, words, timeout_ms=400)


NONSENSE = [
    (b"garbage\r\n", "Protocol error"),
    (b"\0\1\2\3" * 100, "Protocol error"),
    (b"$-5\r\n", ""),
    (b"$99999999999999999999\r\n", ""),
    (b"*1000000000\r\n", ""),
    (b"*1\r\n" * 200, "answers are out of step"),
    (b"*-7\r\n", ""),
    (b":12\r\n", "Redis answers neither a value nor nil"),
    (b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", "Redis answers neither a value nor nil"),
    (b"_\r\n+more\r\n", "an answer that was not asked for"),
    (b"%1\r\n", ""),
    (b"$100000000\r\n" + b"x" * 6000000, "an answer without an end"),
    (b"$5\r\nhel", ""),
    (b"", "answers are out of step"),
    (None, "Server closed the connection"),
]


def nonsense_is_a_loss_of_connection():
    for nonsense, words in NONSENSE:
        is_mad = False

        def answer(words, _):
            return nonsense if is_mad else bulk(b"of " + words[1])

        with Fake(answer) as fake, Near(fake.address, timeout_ms=60, grace_ms=60000) as near:
            expect(near.get("k"), "fetched = of k")
            is_mad = True
            said = near.get("x")
            expect(said, "failed *", "fetched absent")
            near.says("is lost: " + words)
            is_mad = False
            near.counted("clears", 2)
            eventually(lambda: near.get("k").endswith("= of k"), "it recovers")
            expect(near.get("y"), "fetched = of y")


def pushes_that_mean_nothing_are_passed_over():
    def answer(words, _):
        return b">1\r\n+x\r\n>3\r\n+a\r\n+b\r\n:1\r\n>2\r\n$10\r\ninvalidate\r\n*2\r\n:1\r\n*0\r\n" + bulk(words[1])

    with Fake(answer) as fake, Near(fake.address) as near:
        expect(near.get("k"), "fetched = k")
        expect(near.get("k"), "hit = k")
        assert near.stat()["up"] == 1 and near.stat()["clears"] == 1, near.stat()


def wrong_redirections_are_errors():
    for error in "MOVED", "MOVED ", "MOVED x", "MOVED 1 ", "MOVED 99999 127.0.0.1:1", "MOVED 1 127.0.0.1:99999", \
            "MOVED 1 127.0.0.1", "ASK ", "ASK 1 " + "h" * 300 + ":1":
        with Fake(lambda *_: f"-{error}\r\n".encode()) as fake, Near(fake.address) as near:
            expect(near.get("k"), f"failed Redis says: {error[:120]}")
    # A node that names itself for ever is left after a few rounds; one that is not there is down.
    with Fake(lambda *_: f"-MOVED 1 127.0.0.1:{fake.port}\r\n".encode()) as fake, Near(fake.address) as near:
        expect(near.get("k"), "failed Redis says: MOVED*")
    with Fake(lambda *_: b"-MOVED 1 127.0.0.1:1\r\n") as fake, Near(fake.address) as near:
        expect(near.get("k"), "failed Redis is down")
