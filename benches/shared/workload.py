"""The requests that all contenders answer: keys by Zipf's law, and values whose sizes shift from phase to phase. The
same numbers make the same file, byte by byte."""

import itertools
import random

KEYS = 100_000
SKEW = 0.9
SEED = 20
# Bytes of a value, from and to. Each phase has keys of its own, as after a release that keeps other things.
PHASES = [(100, 1_000), (2_000, 16_000), (100, 1_000)]


def lines(requests_a_phase):
    """"KEY BYTES" for each request. A key's value has the same size whenever it is asked for."""
    weights = list(itertools.accumulate((rank + 1) ** -SKEW for rank in range(KEYS)))
    for phase, (least, most) in enumerate(PHASES, 1):
        draws = random.Random(SEED + phase)
        sizes = [draws.randint(least, most) for _ in range(KEYS)]
        for key in draws.choices(range(KEYS), cum_weights=weights, k=requests_a_phase):
            yield f"p{phase}-{key} {sizes[key]}\n"


def write(path, requests_a_phase):
    with path.open("w", encoding="ascii") as file:
        file.writelines(lines(requests_a_phase))
