"""Prints how a larder cache in shared memory, APCu and nginx's shared dictionary answer the same requests in the same
memory, while the sizes of values shift, and draws the hit ratios. `make bench-shared` builds what it runs.

usage: shared.py [--mib N] [--requests N] [--ttl SECONDS] [--svg FILE]"""

import argparse
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import chart
import workload

HERE = pathlib.Path(__file__).resolve().parent
OUT = pathlib.Path("target/bench-shared").resolve()
MODULES = pathlib.Path("/usr/lib/nginx/modules")
WINDOWS = 120
SECONDS_MAX = 900
FIELDS = ["gets", "hits", "stores", "refused", "evicting", "wipes", "wrong"]


class Answers:
    """What one contender printed: a line of FIELDS for each window."""

    def __init__(self, name, style, printed):
        self.name, self.style = name, style
        self.windows = [dict(zip(FIELDS, map(int, line.split()), strict=True)) for line in printed.splitlines()]
        assert len(self.windows) == WINDOWS, f"{name} printed {len(self.windows)} lines, not {WINDOWS}"
        assert self.sum("wrong") == 0, f"{name}: values of another length than what was stored"

    def sum(self, field, phase=None):
        length = WINDOWS // len(workload.PHASES)
        windows = self.windows if phase is None else self.windows[phase * length:(phase + 1) * length]
        return sum(window[field] for window in windows)

    def hit_ratio(self, phase=None):
        return self.sum("hits", phase) / self.sum("gets", phase)


def output_of(command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=SECONDS_MAX).stdout


# ---- the contenders ----

def run_larder(requests, mib, window):
    return output_of([str(OUT / "larder"), str(requests), str(mib), str(window)])


def run_apcu(requests, mib, window, ttl=0, pause_us=0):
    return output_of(["php", "-d", "apc.enabled=1", "-d", "apc.enable_cli=1", "-d", f"apc.shm_size={mib}M",
                      "-d", f"apc.ttl={ttl}", str(HERE / "apcu.php"), str(requests), str(window), str(pause_us)])


def apcu_with_ttl(ttl):
    """Lets APCu remove what was not read for `ttl` seconds, each slowed down to at most 100,000 requests."""
    return lambda requests, mib, window: run_apcu(requests, mib, window, ttl, pause_us=10 * window)


def nginx():
    """Debian has it where only root's PATH looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def fetch(address):
    with urllib.request.urlopen(address, timeout=SECONDS_MAX) as answer:
        return answer.read().decode()


def wait_until_ready(server, address):
    for _ in range(100):
        assert server.poll() is None, f"nginx ended: see {OUT / 'nginx' / 'error.log'}"
        try:
            fetch(address + "/ready")
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise TimeoutError("nginx did not answer within 10 s")


def run_dict(requests, mib, window):
    prefix, port = OUT / "nginx", free_port()
    prefix.mkdir(exist_ok=True)
    text = (HERE / "nginx.conf.in").read_text()
    for name, value in {"MODULES": MODULES, "MIB": mib, "PORT": port, "REQUESTS": requests, "WINDOW": window,
                        "SCRIPT": HERE / "dict.lua"}.items():
        text = text.replace(f"@{name}@", str(value))
    (prefix / "nginx.conf").write_text(text)
    command = [nginx(), "-e", "error.log", "-p", f"{prefix}/", "-c", "nginx.conf"]
    with subprocess.Popen(command) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_ready(server, address)
            return fetch(address + "/run")
        finally:
            server.kill()


def contenders(ttl):
    """Name, class in the chart, and what answers the requests."""
    return [("larder", "a", run_larder), ("APCu", "b", run_apcu), (f"APCu, apc.ttl={ttl}", "d", apcu_with_ttl(ttl)),
            ("shared dictionary", "c", run_dict)]


def missing():
    """Debian packages that are not here."""
    has_apcu = shutil.which("php") and "apcu" in output_of(["php", "-m"]).split()
    found = {"php-cli": shutil.which("php"), "php-apcu": has_apcu, "nginx-light": nginx(),
             "libnginx-mod-http-lua": (MODULES / "ngx_http_lua_module.so").exists(),
             "lua-resty-core": pathlib.Path("/usr/share/lua/5.1/resty/core.lua").exists()}
    return [package for package, is_here in found.items() if not is_here]


# ---- the table ----

def print_table(all_answers, mib, requests):
    sizes = ", ".join(f"{least:,} to {most:,}" for least, most in workload.PHASES)
    print(f"{mib} MiB, {requests:,} requests; bytes of a value by phase: {sizes}\n")
    phases = "".join(f" {f'phase {i + 1}':>8}" for i in range(len(workload.PHASES)))
    print(f"{'':<18}{'stores':>8} {'refused':>8} {'of stores':>9} {'wipes':>6} {'evicting':>9} |{phases} {'all':>8}")
    for answers in all_answers:
        stores, refused = answers.sum("stores"), answers.sum("refused")
        ratios = [answers.hit_ratio(phase) for phase in [*range(len(workload.PHASES)), None]]
        print(f"{answers.name:<18}{stores:>8} {refused:>8} {refused / stores:>9.2%} {answers.sum('wipes'):>6} "
              f"{answers.sum('evicting'):>9} |" + "".join(f" {ratio:>8.3f}" for ratio in ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--mib", type=int, default=32)
    parser.add_argument("--requests", type=int, default=1_200_000)
    parser.add_argument("--ttl", type=int, default=1, help="apc.ttl of APCu's second run")
    parser.add_argument("--svg", type=pathlib.Path)
    options = parser.parse_args()
    if min(options.mib, options.ttl) < 1 or options.requests < WINDOWS or options.requests % WINDOWS != 0:
        parser.error(f"--mib and --ttl are at least 1, and --requests a multiple of {WINDOWS}")
    if packages := missing():
        sys.exit(f"shared.py: missing, by their Debian names: {' '.join(packages)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what runs, too
    OUT.mkdir(parents=True, exist_ok=True)
    requests, window = OUT / "requests.txt", options.requests // WINDOWS
    workload.write(requests, options.requests // len(workload.PHASES))
    all_answers = [Answers(name, style, run(requests, options.mib, window))
                   for name, style, run in contenders(options.ttl)]
    print_table(all_answers, options.mib, options.requests)
    if options.svg:
        options.svg.write_text(chart.draw(all_answers, window))
    if all_answers[0].sum("refused") or all_answers[0].sum("wipes"):
        sys.exit("shared.py: larder refused a store, or emptied itself")


if __name__ == "__main__":
    main()
