"""larder's memcached server beside memcached, in the same memory: items held, hit ratio, and the servers' processor
time for an operation, in slices that take turns. Prints tables; --svg FILE draws them.
usage: memcached.py [--svg FILE] [--megabytes N] [--threads N] [--rounds N] [--slice OPS]"""

import argparse
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, 'tests/memcached')
from server import Server  # noqa: E402

LOAD = 'target/bench-memcached/load'
WORKLOADS = [
    ('get, one at a time', 'get', 1),
    ('get, 32 in a packet', 'get', 32),
    ('set, one at a time', 'set', 1),
    ('set, 32 in a packet', 'set', 32),
    ('get or set, 32 in a packet', 'cache', 32),
]
NAMES = ('larder', 'memcached')
threads = 1


def load(server, kind, ops, **options):
    words = [LOAD, '--port', str(server.port), '--kind', kind, '--ops', str(ops)]
    for name, value in options.items():
        words += [f'--{name}', str(value)]
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return dict(zip(('gets', 'hits', 'sets', 'stored', 'bytes'), map(int, out.split())))


def pair(megabytes):
    options = ('-m', str(megabytes), '-t', str(threads))
    return Server(*options), Server(*options, program=shutil.which('memcached'))


def processor_ns(server):
    """Of all threads."""
    total = 0
    for task in subprocess.run(
        ['ls', f'/proc/{server.process.pid}/task'], capture_output=True, text=True
    ).stdout.split():
        with open(f'/proc/{server.process.pid}/task/{task}/schedstat') as file:
            total += int(file.read().split()[0])
    return total


def items_held(megabytes, size):
    """Items, megabytes of keys and values, and megabytes of the process, after more sets of new keys than fit."""
    held, count = [], megabytes * (20000 if size == 100 else 4000)
    for server in pair(megabytes):
        load(server, 'fill', count, size=size, batch=32)
        resident = server.resident_bytes() / 2**20
        counted = load(server, 'scan', count, size=size, batch=32)
        held.append((counted['hits'], (counted['bytes'] + 16 * counted['hits']) / 2**20, resident))
        server.stop()
    return held


def hit_ratio(megabytes, size, keys):
    ratios = []
    for server in pair(megabytes):
        load(server, 'cache', 4 * keys, size=size, keys=keys, batch=32, seed=1)
        counted = load(server, 'cache', 2 * keys, size=size, keys=keys, batch=32, seed=2)
        ratios.append(counted['hits'] / counted['gets'])
        server.stop()
    return ratios


def processor_time(megabytes, rounds, slice_ops):
    """For each workload, nanoseconds an operation of both: medians over rounds in which the two take turns."""
    servers, keys = pair(megabytes), megabytes * 4000
    for server in servers:
        load(server, 'cache', 2 * keys, keys=keys, batch=32)
    found = []
    for name, kind, batch in WORKLOADS:
        times = ([], [])
        for turn in range(rounds):
            for i in (0, 1) if turn % 2 == 0 else (1, 0):
                before = processor_ns(servers[i])
                counted = load(
                    servers[i],
                    kind,
                    slice_ops if batch > 1 else slice_ops // 4,
                    keys=keys,
                    batch=batch,
                    seed=100 + turn,
                )
                times[i].append((processor_ns(servers[i]) - before) / (counted['gets'] + counted['sets']))
        ratio = statistics.median(a / b for a, b in zip(*times))
        found.append((name, statistics.median(times[0]), statistics.median(times[1]), ratio))
    for server in servers:
        server.stop()
    return found


def bars(groups):
    """[(title, (larder, memcached), text of both)], each group scaled to its larger bar."""
    lines, y = [], 10
    for title, values, texts in groups:
        lines.append(f'<text x="10" y="{y + 12}" font-weight="bold">{title}</text>')
        for i, color in enumerate(('#2a7f62', '#9aa5b1')):
            width, top = 420 * values[i] / max(values), y + 20 + 18 * i
            lines.append(
                f'<text x="10" y="{top + 12}">{NAMES[i]}</text>'
                f'<rect x="90" y="{top}" width="{width:.0f}" height="14" fill="{color}"/>'
                f'<text x="{96 + width:.0f}" y="{top + 12}">{texts[i]}</text>'
            )
        y += 66
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {y}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="640" height="{y}" fill="white"/>\n' + '\n'.join(lines) + '\n</svg>\n'
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--svg')
    parser.add_argument('--megabytes', type=int, default=64)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--slice', type=int, default=120000)
    options = parser.parse_args()
    global threads
    threads = options.threads
    megabytes, groups = options.megabytes, []
    version = subprocess.run(['memcached', '-V'], capture_output=True, text=True).stdout.strip()
    print(f'larder beside {version}, -m {megabytes} -t {threads} each, keys of 16 bytes\n')
    print('| | larder | memcached | ratio |\n|---|---|---|---|')
    for size, what in ((100, 'values of 100 bytes'), (0, 'values of 16 to 4,096 bytes')):
        (ours, our_payload, our_mb), (theirs, their_payload, their_mb) = items_held(megabytes, size)
        print(f'| items held, {what} | {ours:,} | {theirs:,} | {ours / theirs:.2f} |')
        print(
            f'| megabytes of keys and values in them | {our_payload:.1f} | {their_payload:.1f} '
            f'| {our_payload / their_payload:.2f} |'
        )
        print(f'| megabytes of the process then | {our_mb:.0f} | {their_mb:.0f} | {our_mb / their_mb:.2f} |')
        groups.append((f'items held, {what}', (ours, theirs), (f'{ours:,}', f'{theirs:,}')))
        groups.append(
            (
                f'megabytes of keys and values held, {what}',
                (our_payload, their_payload),
                (f'{our_payload:.1f}', f'{their_payload:.1f}'),
            )
        )
    for size, keys, what in ((100, megabytes * 16000, '100 bytes'), (0, megabytes * 3200, '16 to 4,096 bytes')):
        ours, theirs = hit_ratio(megabytes, size, keys)
        print(
            f'| hit ratio, Zipf 0.9, {keys:,} keys, values of {what} | {ours:.3f} | {theirs:.3f} '
            f'| {ours / theirs:.2f} |'
        )
        groups.append((f'hit ratio, Zipf 0.9, values of {what}', (ours, theirs), (f'{ours:.3f}', f'{theirs:.3f}')))
    for name, ours, theirs, ratio in processor_time(megabytes, options.rounds, options.slice):
        print(f"| server's processor time, ns: {name} | {ours:,.0f} | {theirs:,.0f} | {ratio:.2f} |", flush=True)
        groups.append((f"server's processor time: {name}", (ours, theirs), (f'{ours:,.0f} ns', f'{theirs:,.0f} ns')))
    if options.svg:
        with open(options.svg, 'w') as file:
            file.write(bars(groups))


main()
