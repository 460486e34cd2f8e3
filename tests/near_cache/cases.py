"""One server: what near_cache answers, and when."""

import os
import subprocess
import time

from servers import Fake, Near, Redis, becomes, bulk, eventually, expect, invalidate


def processes_see_each_others_writes():
    with Redis() as redis, Near(redis.address) as one, Near(redis.address) as other:
        expect(one.get("k"), "fetched absent")
        expect(one.get("k"), "hit absent")
        expect(other.do("set k first"), "ok")
        becomes(one, "k", "= first")
        becomes(other, "k", "= first")
        expect(one.do("set k second value"), "ok")
        expect(one.get("k"), "fetched = second value")
        becomes(other, "k", "= second value")
        expect(other.do("del k"), "ok")
        becomes(one, "k", "absent")
        assert one.stat()["invalidations"] >= 3 and other.stat()["invalidations"] >= 2, (one.stat(), other.stat())


def own_writes_leave_the_key_tracked():
    with Redis() as redis, Near(redis.address) as near:
        expect(near.get("k"), "fetched absent")
        expect(near.do("set k mine"), "ok")
        near.counted("invalidations")
        expect(near.get("k"), "fetched = mine")
        expect(near.get("k"), "hit = mine")
        redis.cli("SET", "k", "another's")
        becomes(near, "k", "= another's")


def flushall_clears():
    with Redis() as redis, Near(redis.address) as near:
        for i in range(50):
            redis.cli("SET", f"k{i}", "v") if i < 3 else None
            near.get(f"k{i}")
        clears = near.stat()["clears"]
        redis.cli("FLUSHALL")
        near.counted("clears", clears + 1)
        assert near.stat()["items"] == 0, near.stat()
        expect(near.get("k1"), "fetched absent")


def value_read_before_a_change_is_not_kept():
    with Redis() as redis, Near(redis.address) as near:
        redis.cli("SET", "k", "old")
        expect(near.do("begin k"), "fetched = old")
        redis.cli("SET", "k", "new")
        near.counted("invalidations")
        expect(near.do("end"), "refused")
        assert near.stat()["refused"] == 1, near.stat()
        expect(near.get("k"), "fetched = new")
        expect(near.get("k"), "hit = new")
        # Where nothing changes in between, it is kept.
        redis.cli("SET", "calm", "same")
        expect(near.do("begin calm"), "fetched = same")
        expect(near.do("end"), "kept")
        expect(near.get("calm"), "hit = same")


def hundred_misses_are_one_fetch():
    with Redis() as redis, Near(redis.address, timeout_ms=5000) as near:
        redis.cli("SET", "k", "v")
        for key in "k", "nothing":
            before = redis.gets()
            redis.cli("CLIENT", "PAUSE", "200", "ALL")
            expect(near.do(f"stampede 100 {key}"), "threads=100 hit=99 fetched=1 stale=0 failed=0")
            assert redis.gets() - before == 1, redis.gets() - before


def invalidation_behind_an_answer_is_noticed():
    """No byte follows that a poll would tell of, and the poll's own time is longer than the test's."""
    count = 0

    def answer(words, _):
        nonlocal count
        count += 1
        return bulk(b"v%d" % count) + invalidate(words[1])

    with Fake(answer) as fake, Near(fake.address, timeout_ms=60000) as near:
        for i in range(1, 20):
            expect(near.get("k"), f"fetched = v{i}")
            near.counted("invalidations", i)


def invalidation_in_two_halves_is_noticed():
    def answer(words, connection):
        push = invalidate(words[1])
        connection.sendall(bulk(b"v") + push[:9])
        time.sleep(0.05)
        return push[9:]

    with Fake(answer) as fake, Near(fake.address, timeout_ms=1000) as near:
        expect(near.get("k"), "fetched = v")
        near.counted("invalidations")
        expect(near.get("k"), "fetched = v")


def loss_of_connection_clears():
    with Redis() as redis, Near(redis.address) as near:
        redis.cli("SET", "k", "v")
        for key in "k", "other":
            near.get(key)
        expect(near.get("k"), "hit = v")
        clears = near.stat()["clears"]
        redis.cli("CLIENT", "KILL", "TYPE", "normal")
        near.says("is lost: Server closed the connection")
        near.counted("clears", clears + 1)
        assert near.stat()["items"] == 0, near.stat()
        near.counted("up")
        expect(near.get("k"), "fetched = v")
        redis.cli("SET", "k", "tracked again")
        becomes(near, "k", "= tracked again")


def stale_is_served_within_the_grace():
    with Redis() as redis, Near(redis.address, grace_ms=2500) as near:
        redis.cli("SET", "k", "v")
        near.get("k")
        redis.kill()
        lost = time.monotonic()
        eventually(lambda: near.stat()["up"] == 0, "the link is down")
        expect(near.get("k"), "stale = v (Redis is down)")
        expect(near.get("unknown"), "failed Redis is down")
        expect(near.do("stampede 50 k"), "threads=50 hit=0 fetched=0 stale=50 failed=0")
        near.says("is lost")
        expect(near.do("set k 2"), "failed Redis is down")
        expect(near.get("k"), "stale = v (Redis is down)")
        eventually(lambda: near.get("k") == "failed Redis is down", "the grace ends")
        assert time.monotonic() - lost > 2.4, "the grace is over too early"


def restarted_redis_has_its_own_values():
    with Redis() as redis, Near(redis.address, grace_ms=60000) as near:
        redis.cli("SET", "k", "before")
        near.get("k")
        redis.kill()
        eventually(lambda: near.stat()["up"] == 0, "the link is down")
        # The write is forgotten by Redis's restart, and never was in the cache.
        expect(near.do("set other value"), "failed Redis is down")
        redis.start()
        redis.cli("SET", "k", "after")
        near.counted("up")
        becomes(near, "k", "= after")
        expect(near.get("other"), "fetched absent")


def change_during_a_loss_is_seen():
    """The loss is the network's: the server closes the connection, takes none, and goes on changing."""
    value, takes = b"before", True

    def answer(words, _):
        if not takes:
            return None
        return bulk(value)

    with Fake(answer) as fake, Near(fake.address, grace_ms=60000) as near:
        expect(near.get("k"), "fetched = before")
        expect(near.get("k"), "hit = before")
        takes = False
        expect(near.get("x"), "failed Redis was lost before it answered")
        value, takes = b"after", True
        near.counted("up")
        expect(near.get("k"), "fetched = after", "hit = after")


def expired_value_is_stale_while_redis_hangs():
    with Redis() as redis, Near(redis.address, ttl_ms=800, grace_ms=2000, timeout_ms=250) as near:
        redis.cli("SET", "k", "v")
        expect(near.get("k"), "fetched = v")
        fetched = time.monotonic()
        redis.stop()
        expect(near.get("k"), "hit = v")
        time.sleep(0.9)
        expect(near.get("k"), "stale = v (Redis does not answer in time)")
        expect(near.get("k"), "stale = v (Redis did not answer in time a moment ago)")
        asked = time.monotonic()
        expect(near.do("stampede 100 k"), "threads=100 hit=0 fetched=0 stale=100 failed=0")
        assert time.monotonic() - asked < 10, "a stampede on a server that hangs takes the time of one request"
        eventually(lambda: near.get("k").startswith("failed"), "the grace ends")
        assert time.monotonic() - fetched < 5, "its age is what counts, however often it was put back"
        near.says("is lost: no answer")
        redis.go_on()
        near.counted("up")
        redis.cli("SET", "k", "w")
        becomes(near, "k", "= w")


def late_answers_stay_in_step():
    delay = 1.5

    def answer(words, _):
        time.sleep(delay)
        return bulk(b"of " + words[1])

    with Fake(answer) as fake, Near(fake.address, timeout_ms=300) as near:
        for i in range(4):
            asked = time.monotonic()
            expect(near.get(f"slow{i}"), "failed Redis does not answer in time", "failed Redis did not answer in time*")
            assert time.monotonic() - asked < delay, "an answer is waited for no longer than the timeout"
        delay = 0
        eventually(lambda: near.get("fast").endswith("= of fast"), "answers arrive in time again")
        for i in range(20):
            expect(near.get(f"k{i}"), f"fetched = of k{i}")
        assert near.stat()["clears"] == 1 and fake.connections == 1, "being slow is no loss"


def errors_of_redis_are_passed_on():
    with Redis() as redis, Near(redis.address) as near:
        redis.cli("LPUSH", "list", "x")
        expect(near.get("list"), "failed Redis says: WRONGTYPE*")
        redis.cli("CONFIG", "SET", "maxmemory", "1")
        expect(near.do("set k v"), "failed Redis says: OOM*")
        redis.cli("CONFIG", "SET", "maxmemory", "0")
        expect(near.do("set k v"), "ok")
        redis.cli("DEL", "list")
        expect(near.get("list"), "fetched absent", "hit absent")


def wrong_commands_are_refused():
    with Redis() as redis, Near(redis.address) as near:
        expect(near.do("fetch k"), "failed there is no such command*")
        expect(near.do("get"), "failed a command takes a key*")
        expect(near.do("get " + "k" * 256), "failed a command takes a key*")
        expect(near.do("stampede 0 k"), "failed stampede takes a number*")
        expect(near.do("end"), "failed nothing was begun")
        long = "k" * 255
        expect(near.do(f"set {long} v"), "ok")
        expect(near.get(long), "fetched = v")


def value_that_does_not_fit_is_served_and_not_kept():
    with Redis() as redis, Near(redis.address, region="1M") as near:
        big = "v" * 900000
        expect(near.do(f"set big {big}"), "ok")
        for _ in range(3):  # a lease that is not given up would hold the next one back
            assert near.get("big") == f"fetched = {big}"
        redis.cli("EVAL", "return redis.call('SET', KEYS[1], string.rep('v', 2 ^ 20 + 1))", "1", "big")
        for _ in range(2):
            expect(near.get("big"), "failed the value is longer than 1 MiB")
        assert near.stat()["up"] == 1, near.stat()


def set_without_an_answer_is_forgotten():
    """It is done later, so what was cached before may be wrong, and what is read after it is not."""
    with Redis() as redis, Near(redis.address, timeout_ms=100) as near:
        redis.cli("SET", "k", "before")
        expect(near.get("k"), "fetched = before")
        redis.stop()
        expect(near.do("set k after"), "failed Redis does not answer in time")
        expect(near.get("k"), "failed Redis did not answer in time*", "failed Redis does not answer in time")
        redis.go_on()
        becomes(near, "k", "= after")


def two_processes_of_threads_end_with_what_redis_has():
    """Both read and write the same few keys, lose their connections meanwhile, and compare in the end."""
    program = os.environ.get("NEAR_CACHE", "target/examples/near_cache")
    with Redis() as redis:
        words = [program, "--redis", redis.address, "--threads=4", "--keys=200", "--writes=20", "--seconds=2"]
        both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for _ in range(16):
            time.sleep(0.1)
            redis.cli("CLIENT", "KILL", "TYPE", "normal")
        for process in both:
            said, complained = process.communicate(timeout=50)
            assert process.returncode == 0, (process.returncode, said, complained)
            assert "items are what Redis has" in said, (said, complained)
            assert "is lost" in complained and " hits 0 " not in said, (process.returncode, said, complained)


def arguments_are_checked():
    program = os.environ.get("NEAR_CACHE", "target/examples/near_cache")
    for words, status, said in (
        (["--help"], 0, "usage: near_cache"), (["-h"], 0, "begin KEY"),
        (["--unknown"], 2, "usage: near_cache"), (["-x"], 2, "usage: near_cache"),
        (["serve"], 2, "'serve' is no mode; there is one: commands"),
        (["commands", "more"], 2, "'more' is one argument too many"),
        (["--redis", "localhost"], 2, "--redis takes HOST:PORT, not 'localhost'"),
        (["--redis", ":6379"], 2, "--redis takes HOST:PORT"), (["--redis", "h:65536"], 2, "--redis takes HOST:PORT"),
        (["--redis", "h" * 256 + ":1"], 2, "--redis takes HOST:PORT"),
        (["--threads", "65"], 2, "--threads takes a number from 1 to 64"),
        (["--timeout-ms", "9"], 2, "--timeout-ms takes a number from 10 to 60000"),
        (["--region", "1K"], 2, "--region takes a number from 65536"),
    ):
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=20)
        text, other = (done.stdout, done.stderr) if status == 0 else (done.stderr, done.stdout)
        assert done.returncode == status and said in text and other == "", (words, done)
