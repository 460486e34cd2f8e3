"""Tools of libmemcached: memccapable, which knows the protocol, and memcaslap, a load that looks at what it reads.
usage: tools.py memccapable|memcaslap"""

import re
import subprocess
import sys

from server import Server


def said_by(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    print(said)
    assert done.returncode == 0, f'{command[0]} ended with {done.returncode}'
    return said


def memccapable(server):
    said = said_by('memccapable', '-a', '-h', '127.0.0.1', '-p', str(server.port))
    assert said.count('[pass]') >= 25 and '[FAIL]' not in said and 'All tests passed' in said


def memcaslap(server):
    said = said_by('memcaslap', '-s', f'127.0.0.1:{server.port}', '-t', '3s', '-T', '2', '-c', '32', '-v', '0.2')
    counted = {name: int(number) for name, number in re.findall(r'^(\w+): (\d+)$', said, re.MULTILINE)}
    assert counted['cmd_get'] > 0 and counted['cmd_set'] > 0, counted
    assert counted['get_misses'] == 0 and counted['verify_failed'] == 0 and counted['verify_misses'] == 0, counted
    # memcaslap counts what it has sent, at its end too.
    stats = server.stats()
    assert int(stats['cmd_get']) > counted['cmd_get'] * 0.9 and int(stats['total_connections']) > 2


globals()[sys.argv[1]](Server('-m', '64', '-t', '2'))
