"""Runs one case, or lists them. usage: main.py [CASE]"""

import inspect
import signal
import sys

import cases
import cluster
import nonsense

CASES = {name: case for module in (cases, nonsense) for name, case in inspect.getmembers(module, inspect.isfunction)
         if case.__module__ == module.__name__ and not inspect.signature(case).parameters}
CASES["cluster_of_three"] = cluster.cluster_of_three

# A case that is stopped ends its servers first.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
if len(sys.argv) == 1:
    print("\n".join(CASES))
else:
    CASES[sys.argv[1]]()
