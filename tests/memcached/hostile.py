"""Slow and hostile clients: what they do to the others, and to the server's memory."""

import socket
import threading
import time

from server import Client, Server

CONNECTIONS = 60
BIG = b'x' * 1000000


def half_done(server):
    """Connections that stop in the middle of each kind of command, or never read their answers."""
    held = []
    for data in (
        b'',
        b's',
        b'set k 0 0 10\r\nabc',
        b'get a b c',
        b'set k 0 0 900000\r\n' + b'x' * 70000,
        b'mg',
        b'get ' + b'k ' * 30000,
        b'set k 0 0 2000000000\r\n' + b'x' * 50000,
    ):
        client = server.connect()
        client.send(data)
        held.append(client)
    for _ in range(10):
        client = server.connect()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.socket.settimeout(0.2)
        try:
            client.send(b'get big big big big\r\n' * 20000)
        except TimeoutError:
            pass
        held.append(client)
    return held


def lines_without_end(server):
    """Only a get may be longer than a line: anything else ends the connection, with a word of why."""
    for data in (b'x' * 5000, b'set ' + b'k' * 5000, b' ' * 5000, b'mg k ' + b'v ' * 3000):
        with server.connect() as client:
            client.send(data)
            assert client.input.readline() == b'CLIENT_ERROR line too long\r\n', data[:20]
            assert client.is_closed()
    with server.connect() as client:
        client.send(b'get ' + b'k' * 100000 + b'\r\nmn\r\n')
        assert client.input.readline() == b'CLIENT_ERROR bad command line format\r\n'
        assert client.input.readline() == b'MN\r\n'
    with server.connect() as client:
        client.send(b'gat ' + b'9' * 3000)
        assert client.input.readline() == b'CLIENT_ERROR line too long\r\n'
    with server.connect() as client:
        client.send(b'GET / HTTP/1.1\r\nHost: x\r\n\r\nflush_all\r\n')
        assert client.is_closed(), 'a web page may talk to the server'


def in_pieces(server):
    """One byte at a time, the answers are the same."""
    with server.connect() as client:
        for byte in b'set p 300 0 4\r\na\r\nb\r\nget p none\r\nmg p s v\r\nincr p 1\r\nmn\r\n':
            client.send(bytes([byte]))
        wanted = (
            b'STORED\r\nVALUE p 300 4\r\na\r\nb\r\nEND\r\nVA 4 s4\r\na\r\nb\r\n'
            b'CLIENT_ERROR cannot increment or decrement non-numeric value\r\nMN\r\n'
        )
        assert client.input.read(len(wanted)) == wanted


def reads_late(server):
    """A client that reads its answers after a while gets all of them, though it sends nothing more."""
    with server.connect() as client:
        for pause in (0, 0.05, 0.3):
            count = 4000
            client.ask('set late 0 0 3000\r\n' + 'x' * 3000 + '\r\n', 'STORED\r\n')
            sender = threading.Thread(target=client.send, args=('get late\r\n' * count,))
            sender.start()
            time.sleep(pause)
            wanted = len('VALUE late 0 3000\r\n\r\nEND\r\n') + 3000
            for _ in range(count):
                assert client.input.read(wanted).endswith(b'\r\nEND\r\n')
            sender.join()
    assert int(server.stats()['conn_yields']) > 0, 'one client keeps a thread to itself'


def too_many(server):
    """Connections beyond -c are told so; when some end, there is room again."""
    clients = []
    while True:
        client = server.connect()
        if client.line('mn\r\n') != 'MN':
            break
        clients.append(client)
        assert len(clients) <= CONNECTIONS, 'more connections than -c'
    assert len(clients) == CONNECTIONS
    for client in clients:
        client.close()
    time.sleep(0.2)
    with server.connect() as client:
        client.ask('', '')
    assert int(server.stats()['rejected_connections']) >= 1


def spool_is_shared_out(server):
    """Clients that hold all room for long values, and send no more: the others get it back in seconds."""
    holders = []
    for _ in range(20):
        client = server.connect()
        client.send(b'set hold 0 0 1000000\r\n' + b'x' * 30000)
        holders.append(client)
    end = time.monotonic() + 30
    with server.connect() as client:
        while client.line(b'set big 0 0 1000000\r\n' + BIG + b'\r\n') != 'STORED':
            assert time.monotonic() < end, 'long values are refused for good'
            time.sleep(0.2)
        client.ask('get big\r\n', b'VALUE big 0 1000000\r\n' + BIG + b'\r\nEND\r\n')
    for holder in holders:
        holder.close()


def idle_ones_end():
    server = Server('-o', 'idle_timeout=2')
    idle, busy = server.connect(), server.connect()
    last, longest = time.monotonic(), 0.0
    for _ in range(7):
        time.sleep(0.5)
        longest = max(longest, time.monotonic() - last)
        if longest < 1.5:  # else the machine is too slow to tell
            busy.ask('', '')
        last = time.monotonic()
    assert idle.is_closed(), 'an idle connection stays'
    assert int(server.stats()['idle_kicks']) >= 1


def main():
    server = Server('-m', '32', '-t', '2', '-c', str(CONNECTIONS))
    too_many(server)
    with server.connect() as client:
        client.ask(b'set big 0 0 1000000\r\n' + BIG + b'\r\nset a 0 0 1\r\nx\r\n', 'STORED\r\nSTORED\r\n')
        before = server.resident_bytes()
        held = half_done(server)
        slowest = 0.0
        for _ in range(500):
            start = time.monotonic()
            client.ask('get a\r\nset a 0 0 1\r\nx\r\n', 'VALUE a 0 1\r\nx\r\nEND\r\nSTORED\r\n')
            slowest = max(slowest, time.monotonic() - start)
        grown = server.resident_bytes() - before
        assert grown < 16 << 20, f'{grown} bytes more for {len(held)} connections'
        for other in held:
            other.close()
    lines_without_end(server)
    in_pieces(server)
    reads_late(server)
    spool_is_shared_out(server)
    assert server.stop() == 0
    idle_ones_end()
    print(f'the slowest answer beside {len(held)} slow clients took {slowest * 1000:.1f} ms')


main()
