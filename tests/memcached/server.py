"""Starts servers for a test on free ports of loopback, and talks to them. Each ends with the test."""

import atexit
import os
import signal
import socket
import subprocess
import time

SERVER = os.environ.get('LARDER_MEMCACHED_SERVER', 'target/examples/memcached_server')
TIMEOUT = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, *options, program=SERVER):
        self.port = free_port()
        extra = ['-u', 'root'] if program != SERVER and os.geteuid() == 0 else []
        self.process = subprocess.Popen([program, '-l', '127.0.0.1', '-p', str(self.port), *extra, *options])
        atexit.register(self.stop)
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            try:
                self.connect().close()
                return
            except ConnectionRefusedError:
                assert self.process.poll() is None, f'{program} ended at once'
                time.sleep(0.02)
        raise AssertionError(f'{program} does not answer')

    def connect(self):
        return Client(self.port)

    def stop(self, how=signal.SIGTERM):
        """Returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def resident_bytes(self):
        with open(f'/proc/{self.process.pid}/statm') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def processor_seconds(self):
        with open(f'/proc/{self.process.pid}/stat') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def stats(self, *arguments):
        with self.connect() as client:
            return client.stats(*arguments)


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = self.socket.makefile('rb')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.input.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def ask(self, data, answer):
        """Sends `data`, and requires these bytes as its answer, followed by nothing else: `mn` asks."""
        self.send(data if isinstance(data, bytes) else data.encode())
        self.send('mn\r\n')
        wanted = (answer if isinstance(answer, bytes) else answer.encode()) + b'MN\r\n'
        got = self.input.read(len(wanted))
        assert got == wanted, f'{data[:80]!r}: {got[:200]!r}, not {wanted[:200]!r}'

    def line(self, data):
        self.send(data)
        return self.input.readline().decode().rstrip('\r\n')

    def stats(self, *arguments):
        self.send(' '.join(('stats',) + arguments) + '\r\n')
        found = {}
        while (line := self.input.readline().decode().split(' ', 2))[0] == 'STAT':
            found[line[1]] = line[2].strip()
        assert line[0].startswith('END'), line
        return found

    def is_closed(self):
        try:
            return self.input.read(1) == b''
        except ConnectionResetError:
            return True
