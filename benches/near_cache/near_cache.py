"""Prints what near_cache brings in front of a Redis of its own on loopback, by the size of its region and by the share
of sets, and draws how long both levels take. Runs are interleaved, and what is printed is each one's median.

usage: near_cache.py [--rounds N] [--seconds N] [--svg FILE]"""

import argparse
import pathlib
import re
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "near_cache"))

from servers import Redis  # noqa: E402

PROGRAM = "target/examples/near_cache"
REGIONS = ["64K", "1M", "4M", "16M"]
WRITES = [0, 5, 20]


class Run:
    """What one run printed."""

    def __init__(self, redis, region, writes, seconds):
        done = subprocess.run(
            [PROGRAM, "--redis", redis.address, "--region", region, "--writes", str(writes), "--seconds",
             str(seconds), "--timeout-ms", "10000"], capture_output=True, text=True, check=True)
        self.hit_ratio = float(re.search(r"hit ratio ([\d.]+)", done.stdout)[1])
        self.cpu = float(re.search(r"([\d.]+) us of CPU", done.stdout)[1])
        self.percentiles = {level: [float(time) for time in re.findall(r"p[\d.]+ ([\d.]+) us", times)]
                            for level, times in re.findall(r"^ +(near|redis|set) +(p50 .*)$", done.stdout, re.M)}
        self.bars = {level: [(float(start), int(calls)) for start, calls in
                             re.findall(rf"^{level} +from +([\d.]+) us +(\d+) calls", done.stdout, re.M)]
                     for level in ("near", "redis")}


def median(numbers):
    return statistics.median(numbers)


def measure(redis, rounds, seconds):
    """The runs of each pair of region and writes."""
    pairs = [(region, 5) for region in REGIONS] + [("4M", writes) for writes in WRITES if writes != 5]
    runs = {pair: [] for pair in pairs}
    for _ in range(rounds):
        for pair in pairs:
            runs[pair].append(Run(redis, *pair, seconds))
    return runs


def print_table(runs):
    base = runs[("64K", 5)]
    print(f"{'region':>6} {'sets':>5} {'hit ratio':>9} {'CPU':>5} | near p50, p99 (us) | redis p50, p99 (us)")
    for (region, writes), some in runs.items():
        cpu = median(run.cpu / first.cpu for run, first in zip(some, base))
        near, redis = ([median(run.percentiles[level][i] for run in some) for i in (0, 2)]
                       for level in ("near", "redis"))
        print(f"{region:>6} {writes:>4}% {median(run.hit_ratio for run in some):>9.3f} {cpu:>5.2f} | "
              f"{near[0]:>8.2f} {near[1]:>9.2f} | {redis[0]:>8.1f} {redis[1]:>9.1f}")


# ---- the chart ----

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 300, 50, 50, 40
COLORS = {"near": "#2a6f97", "redis": "#c8553d"}
NAMES = {"near": "answered by the near-cache", "redis": "fetched from Redis"}


def text(x, y, words, anchor="middle", fill="#000000"):
    return f'<text x="{x:.0f}" y="{y:.0f}" font-family="sans-serif" font-size="11" text-anchor="{anchor}" ' \
           f'fill="{fill}">{words}</text>'


def time_name(us):
    return f"{us * 1000:.0f} ns" if us < 1 else f"{us:.0f} \u00b5s" if us < 1000 else f"{us / 1000:.0f} ms"


def chart(run):
    """Each level's calls by powers of two of their time, in percent of the level's calls."""
    starts = sorted({start for bars in run.bars.values() for start, _ in bars})
    edges = [starts[0]]
    while edges[-1] < starts[-1]:
        edges.append(edges[-1] * 2)
    step = (WIDTH - LEFT - 10) / len(edges)
    shares = {level: {start: calls / sum(calls for _, calls in bars) for start, calls in bars}
              for level, bars in run.bars.items()}
    most = max(share for level in shares.values() for share in level.values())
    floor, height = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    out = [f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" xmlns="http://www.w3.org/2000/svg">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#FFFFFF"/>',
           f'<line x1="{LEFT}" y1="{floor}" x2="{WIDTH - 10}" y2="{floor}" stroke="#000000"/>',
           text(WIDTH / 2, HEIGHT - 8, "time of a get, from .. on")]
    for percent in range(0, int(most * 100) + 1, 10):
        y = floor - height * percent / 100 / most
        out.append(f'<line x1="{LEFT}" y1="{y:.0f}" x2="{WIDTH - 10}" y2="{y:.0f}" stroke="#000000" opacity="0.15"/>')
        out.append(text(LEFT - 6, y + 4, f"{percent}%", "end"))
    for i, edge in enumerate(edges):
        x = LEFT + i * step
        if i % 2 == 0:
            out.append(text(x, floor + 16, time_name(edge)))
        for side, (level, share) in enumerate(shares.items()):
            start = min(starts, key=lambda one: abs(one - edge))
            tall = height * share.get(start, 0) / most if abs(start - edge) < 0.1 * edge else 0
            out.append(f'<rect x="{x + side * step * 0.45 + 1:.1f}" y="{floor - tall:.1f}" width="{step * 0.45:.1f}" '
                       f'height="{tall:.1f}" fill="{COLORS[level]}"/>')
    for i, level in enumerate(COLORS):
        times = run.percentiles[level]
        words = f"{NAMES[level]}: p50 {times[0]:.2f} \u00b5s, p99 {times[2]:.2f} \u00b5s"
        out.append(text(LEFT + 10, 16 + 15 * i, words, "start", COLORS[level]))
    return "\n".join(out + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--svg", type=pathlib.Path)
    options = parser.parse_args()
    with Redis() as redis:
        runs = measure(redis, options.rounds, options.seconds)
    print_table(runs)
    if options.svg:
        same = runs[("4M", 5)]
        options.svg.write_text(chart(sorted(same, key=lambda run: run.percentiles["near"][0])[len(same) // 2]))


main()
