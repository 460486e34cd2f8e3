"""Redis servers for the tests: real ones on free ports of loopback, and one that answers what a test wants."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

PATIENCE = 10  # seconds for what takes milliseconds


def free_port():
    """A port that is free, as is the one of its cluster bus, 10000 above."""
    while True:
        with socket.socket() as one, socket.socket() as bus:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port > 55000:
                continue
            try:
                bus.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            return port


def eventually(holds, what):
    """Waits until holds() is true and returns what it says."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        said = holds()
        if said:
            return said
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


class Redis:
    """A redis-server of its own, without files that stay."""

    def __init__(self, *options, port=None):
        self.port = port or free_port()
        self.options = options
        self.directory = tempfile.mkdtemp(prefix="near-cache-")
        self.process = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        # Debian's redis-tools have the server under another name; it looks at the one that it is called by.
        program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.directory,
             *self.options], executable=program, stdout=subprocess.DEVNULL)
        eventually(lambda: self.answers(), f"redis-server on port {self.port} answers")

    def answers(self):
        assert self.process.poll() is None, "redis-server has ended"
        try:
            return self.cli("PING") == "PONG"
        except subprocess.CalledProcessError:
            return False

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        self.process = None

    def stop(self):
        """It takes connections and bytes, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def cli(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, check=True,
                              timeout=PATIENCE)
        return done.stdout.strip()

    def gets(self):
        """How many GETs it has answered."""
        for line in self.cli("INFO", "commandstats").splitlines():
            if line.startswith("cmdstat_get:"):
                return int(line.split("calls=")[1].split(",")[0])
        return 0


HELLO = b"%1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
INVALIDATE = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%s\r\n"


def bulk(text):
    return b"$%d\r\n%s\r\n" % (len(text), text)


def invalidate(key):
    return INVALIDATE % (len(key), key)


def words_of(stream):
    """The next command of a client; None at its end."""
    head = stream.readline()
    if not head.startswith(b"*"):
        return None
    words = []
    for _ in range(int(head[1:])):
        length = int(stream.readline()[1:])
        words.append(stream.read(length + 2)[:-2])
    return words


class Fake:
    """A server that greets as Redis does; `answer(words, connection)` returns the bytes that answer other commands, or
    None, which closes the connection."""

    def __init__(self, answer, greet=True):
        self.answer, self.greet = answer, greet
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as stream:
                while (words := words_of(stream)) is not None:
                    said = self.greeting(words) if self.greet else None
                    if said is None:
                        said = self.answer(words, connection)
                    if said is None:
                        return
                    connection.sendall(said)
        except OSError:
            pass

    @staticmethod
    def greeting(words):
        return {b"HELLO": HELLO, b"CLIENT": b"+OK\r\n", b"PING": bulk(words[-1])}.get(words[0])


class Near:
    """A near_cache that does what the test says."""

    def __init__(self, address, **options):
        words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self.process = subprocess.Popen(
            [os.environ.get("NEAR_CACHE", "target/examples/near_cache"), "--redis", address, *words, "commands"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
        self.complaints = []
        self.reader = threading.Thread(target=lambda: self.complaints.extend(self.process.stderr), daemon=True)
        self.reader.start()
        self.do("stat")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                ended = self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise AssertionError("near_cache does not end")
            assert ended == 0, f"near_cache ended with {ended}: {self.said()}"

    def do(self, line):
        self.process.stdin.write(line + "\n")
        said = self.process.stdout.readline().rstrip("\n")
        assert said, f"near_cache has ended at '{line}': {self.said()}"
        return said

    def get(self, key):
        return self.do(f"get {key}")

    def stat(self):
        return {name: int(number) for name, number in (pair.split("=") for pair in self.do("stat").split())}

    def counted(self, name, at_least=1):
        return eventually(lambda: self.stat()[name] >= at_least, f"{name} >= {at_least}: {self.stat()}")

    def said(self):
        return "".join(self.complaints)

    def says(self, words):
        return eventually(lambda: words in self.said(), f"near_cache says '{words}', not {self.said()}")


def expect(said, *wanted):
    assert said in wanted or any(one.endswith("*") and said.startswith(one[:-1]) for one in wanted), \
        f"'{said}', not {' or '.join(wanted)}"


def becomes(near, key, wanted):
    """The key's value is `wanted` after a moment, and stays so."""
    eventually(lambda: near.get(key).split(" ", 1)[1] == wanted, f"{key} becomes '{wanted}'")
    expect(near.get(key), f"hit {wanted}")
