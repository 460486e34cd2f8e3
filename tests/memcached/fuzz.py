"""Random and mutated byte streams, cut into pieces at random, to a server that is built with sanitizers. In between
another client's item must be there, and its answers in step. usage: fuzz.py SECONDS [SEED]"""

import random
import socket
import sys
import time

from server import Server

LINES = [
    b'get a b c\r\n',
    b'gets a\r\n',
    b'gat 100 a b\r\n',
    b'set a 300 0 3\r\nabc\r\n',
    b'add b 0 0 0\r\n\r\n',
    b'replace a 0 0 1\r\nx\r\n',
    b'append a 0 0 2\r\nxy\r\n',
    b'prepend a 0 0 2\r\nxy\r\n',
    b'cas a 0 0 1 7\r\nx\r\n',
    b'incr n 5\r\n',
    b'decr n 7\r\n',
    b'set n 0 0 2 noreply\r\n10\r\n',
    b'touch a 100\r\n',
    b'delete a\r\n',
    b'stats\r\n',
    b'stats settings\r\n',
    b'stats cachedump 1 9\r\n',
    b'stats conns\r\n',
    b'version\r\n',
    b'mg a s v t f k O7 h l c\r\n',
    b'mg YWJj b k v N30\r\n',
    b'mg a R30 T90\r\n',
    b'ms a 2 T90 F300 c k\r\nhi\r\n',
    b'ms YWJj 2 b MA q\r\nhi\r\n',
    b'md a I T30\r\n',
    b'md a C5 q\r\n',
    b'ma n N0 J5 D3 v t\r\n',
    b'ma n MD D9 q\r\n',
    b'me a\r\n',
    b'mn\r\n',
    b'set big 0 0 60000\r\n' + b'x' * 60000 + b'\r\n',
    b'get big big\r\n',
    b'set c 0 0 2000000000\r\n',
    b'stats reset\r\n',
    b'append big 4000000000 -1 20000\r\n' + b'y' * 20000 + b'\r\n',
]
INTERESTING = [
    b'\0',
    b'\r',
    b'\n',
    b'\r\n',
    b' ',
    b'-1',
    b'4294967295',
    b'18446744073709551615',
    b'\xff',
    b'=',
    b'k' * 251,
    b'2147483647',
    b' noreply',
    b'A' * 3000,
]


def mutated(pick):
    data = bytearray(b''.join(pick.choices(LINES, k=pick.randint(1, 8))))
    for _ in range(pick.choice([0, 0, 1, 1, 2, 5])):
        at = pick.randrange(len(data) + 1)
        kind = pick.randrange(4)
        if kind == 0 and at < len(data):
            data[at] = pick.randrange(256)
        elif kind == 1:
            data[at:at] = pick.choice(INTERESTING)
        elif kind == 2:
            del data[at : at + pick.choice([1, 2, 10, 1000])]
        else:
            data[at:at] = data[: pick.randrange(50)]
    return bytes(data)


def stream(pick):
    return pick.randbytes(pick.choice([3, 50, 5000])) if pick.random() < 0.1 else mutated(pick)


def exchange(attacker, data, pick):
    """Sends a piece of random length, and reads what has come, or not; what is left to send."""
    try:
        data = data[attacker.send(data[: pick.choice([1, 7, 100, 4096, 1 << 20])]) :]
    except BlockingIOError:
        time.sleep(0.0002)
    try:
        if pick.random() < 0.4:
            attacker.recv(1 << 20)
    except BlockingIOError:
        pass
    return data


def attack(server, pick):
    with socket.create_connection(('127.0.0.1', server.port), 20) as attacker:
        attacker.setblocking(False)
        data, patience = b''.join(stream(pick) for _ in range(pick.randint(1, 10))), 2000
        while data and patience > 0:
            patience -= 1
            try:
                data = exchange(attacker, data, pick)
            except (ConnectionResetError, BrokenPipeError):
                return


def main():
    seconds, seed = float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    pick = random.Random(seed)
    server = Server('-m', '8', '-t', '2', '-c', '40', '-I', '100k')
    client = server.connect()
    end, attacks = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        attack(server, pick)
        attacks += 1
        if attacks % 10 == 0:
            assert server.process.poll() is None, f'the server ended at attack {attacks} of seed {seed}'
            client.ask('set mine 7 0 4\r\nmine\r\nget mine\r\n', 'STORED\r\nVALUE mine 7 4\r\nmine\r\nEND\r\n')
    assert server.stop() == 0, 'a sanitizer found something'
    print(f'{attacks} streams of seed {seed}: the server answers as ever')


main()
