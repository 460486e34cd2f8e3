"""The same commands, right and wrong ones, to this server and to memcached: the same answers, byte by byte, but for cas
numbers. usage: beside.py [SEED [COMMANDS]]"""

import random
import re
import shutil
import sys

from server import Server

BATCH = 20
KEYS = ['a', 'b', 'c', 'key', 'YWJj', 'k' * 250, 'k' * 251, 'n', 'm']
VALUES = [
    b'',
    b'1',
    b'12',
    b'x',
    b'18446744073709551615',
    b'99',
    b'+\r\n',
    b'abc\0def',
    b'v' * 300,
    b'w' * 20000,
    b'z' * 500000,
]


def flags(pick, known):
    chosen = []
    for letter in pick.sample(known, pick.randint(0, min(4, len(known)))):
        token = {
            'T': ['0', '30', '9000', 'x'],
            'N': ['0', '60', ''],
            'R': ['0', '90'],
            'O': ['1', 'opaque', ''],
            'F': ['0', '5', '300', '4294967295', 'x'],
            'M': ['E', 'A', 'P', 'R', 'S', 'I', 'D', '+', '-', 'Z', ''],
            'J': ['0', '13'],
            'D': ['1', '2', '99'],
            'C': ['99999999999', 'x'],
        }.get(letter, [''])
        chosen.append(letter + pick.choice(token))
    if pick.random() < 0.03:
        chosen.append(pick.choice(['v', '!', 'k', 'vv']))
    return ' '.join(chosen)


def storing(pick):
    verb = pick.choice(['set', 'set', 'add', 'replace', 'append', 'prepend', 'cas'])
    value = pick.choice(VALUES)
    words = [
        verb,
        pick.choice(KEYS),
        pick.choice(['0', '1', '255', '256', '4294967295', 'x']),
        pick.choice(['0', '0', '100', '-1', 'x']),
        str(len(value)),
    ]
    if verb == 'cas':
        words.append(pick.choice(['0', '99999999999', 'x']))
    line = ' '.join(words + pick.choice([[], [], ['noreply']]))
    # A line that is refused leaves its value in the stream: that is short then.
    if 'x' in words or len(words[1]) > 250:
        value = b'mn' if pick.random() < 0.5 else b'x'
    return line.encode() + b'\r\n' + value + pick.choice([b'\r\n'] * 9 + [b'xx'])


def command(pick):
    key, kind = pick.choice(KEYS), pick.random()
    if kind < 0.4:
        return storing(pick)
    if kind < 0.55:
        # If one key is too long, memcached counts the ones before it as read; this server refuses the whole line.
        verb = pick.choice(["get", "get", "gat 0", "gat 90", "gat x", "gat -1"])
        keys = ' '.join(pick.choices(KEYS[:6], k=pick.randint(0, 4)))
        return f'{verb} {keys}\r\n'.encode()
    if kind < 0.65:
        verb, delta = pick.choice(["incr", "decr"]), pick.choice(["1", "5", "x", "18446744073709551615", ""])
        return f'{verb} {key} {delta}\r\n'.encode()
    if kind < 0.72:
        verb, more = pick.choice(["delete", "delete", "touch"]), pick.choice(["", "0", "90", "noreply", "x"])
        return f'{verb} {key} {more}\r\n'.encode()
    if kind < 0.82:
        return f'mg {key} {flags(pick, pick.choice(["vkstfqhubRTO", "vkstfqhuNRTO"]))}\r\n'.encode()
    if kind < 0.9:
        value = pick.choice(VALUES[:-2])
        return f'ms {key} {len(value)} {flags(pick, "kqbOTFMCI")}\r\n'.encode() + value + b'\r\n'
    if kind < 0.94:
        return f'md {key} {flags(pick, "kqbOTCI")}\r\n'.encode()
    if kind < 0.98:
        return f'ma {key} {flags(pick, "kqbOTtvNJDMC")}\r\n'.encode()
    return pick.choice(
        [
            b'\r\n',
            b'foo\r\n',
            b'get\r\n',
            b'mg\r\n',
            b'verbosity\r\n',
            b'verbosity x\r\n',
            b'mn\r\n',
            b'stats nonsense\r\n',
            b'  get  a  b \r\n',
            b'flush_all x\r\n',
            b'mx a\r\n',
            b'get a\n',
        ]
    )


def answer(client, data):
    client.send(data + b'\r\nmg fence k\r\n')
    got = b''
    while not got.endswith(b'EN kfence\r\n'):
        line = client.input.readline()
        assert line, f'closed after {data[:300]!r}'
        got += line
    # A second may pass between the two servers.
    return re.sub(rb' t[1-9]\d*\b', b' t(some)', got)


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    pick = random.Random(seed)
    ours = Server('-m', '64').connect()
    theirs = Server('-m', '64', program=shutil.which('memcached')).connect()
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    for i in range(0, count, BATCH):
        batch = [command(pick) for _ in range(BATCH)]
        before = b''
        for data in batch:
            one, other = answer(ours, data), answer(theirs, data)
            if one != other:
                at = next(j for j in range(len(one) + 1) if one[j : j + 1] != other[j : j + 1])
                sys.exit(
                    f'seed {seed}, command {i}: {data[:300]!r} after {before[:60]!r}\n'
                    f'  {one[:60]!r} .. {one[at:at + 60]!r}\n'
                    f'  memcached: {other[:60]!r} .. {other[at:at + 60]!r}'
                )
            before = data
    print(f'{count} commands: the same answers')


main()
