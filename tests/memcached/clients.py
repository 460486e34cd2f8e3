"""Public clients: pymemcache, pylibmc, and a ketama ring of three servers one of which is killed."""

import random
import signal

import pylibmc
from pymemcache.client.base import Client as PyMemcache
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError

from server import Server


def pymemcache(server):
    client = PyMemcache(('127.0.0.1', server.port), timeout=20, connect_timeout=20)
    assert client.set('a', 'one', noreply=False) and client.get('a') == b'one'
    assert client.add('a', 'x', noreply=False) is False and client.replace('a', 'two', noreply=False)
    assert (
        client.append('a', '!', noreply=False)
        and client.prepend('a', '>', noreply=False)
        and client.get('a') == b'>two!'
    )
    value, cas = client.gets('a')
    assert client.cas('a', 'three', cas) is True and client.cas('a', 'four', cas) is False
    assert client.cas('none', 'x', cas) is None
    client.set('n', '5', noreply=False)
    assert client.incr('n', 7) == 12 and client.decr('n', 20) == 0 and client.incr('none', 1) is None
    try:
        client.incr('a', 1)
        raise AssertionError('text was incremented')
    except MemcacheClientError:
        pass
    many = {f'k{i}': b'v%d' % i for i in range(3000)}
    assert client.set_many(many, noreply=False) == [] and client.get_many(list(many)) == many
    assert client.touch('a', 100, noreply=False) and client.delete('a', noreply=False) and client.get('a') is None
    assert client.stats()[b'curr_items'] > 0 and client.version().startswith(b'1.')
    assert client.flush_all(noreply=False) and client.get('n') is None
    client.quit()


def libmemcached(server):
    client = pylibmc.Client([f'127.0.0.1:{server.port}'], behaviors={'cas': True, 'tcp_nodelay': True})
    values = {'text': 'ä', 'number': 7, 'tuple': (1, 2.5, None), 'bytes': bytes(range(256)), 'long': 'x' * 900000}
    assert client.set_multi(values) == [] and client.get_multi(list(values)) == values
    value, cas = client.gets('number')
    assert client.cas('number', 8, cas) is True and client.cas('number', 9, cas) is False
    assert client.incr('number') == 9 and client.decr('number', 4) == 5
    assert client.add('text', 'x') is False and client.replace('text', 'y') and client.append('text', 'z')
    assert client.get('text') == 'yz' and client.delete('text') and client.get('text') is None
    assert client.touch('tuple', 100) and client.get('tuple') == (1, 2.5, None)
    try:
        client.set('huge', random.randbytes(2000000))
        raise AssertionError('more than -I was stored')
    except pylibmc.Error:
        pass
    assert client.get('number') == 5, 'the stream is out of step after a value that is too long'
    assert client.flush_all() and client.get('number') is None
    # Quiet sets: a flag of libmemcached that sends noreply.
    quiet = pylibmc.Client([f'127.0.0.1:{server.port}'], behaviors={'buffer_requests': 0, 'no_block': True})
    assert quiet.set('q', 1) and quiet.get('q') == 1


def ring(count):
    """One of three is killed: its share is lost, what the others hold is not, and the ring goes on without it."""
    servers = [Server('-m', '16') for _ in range(count)]
    client = pylibmc.Client(
        [f'127.0.0.1:{server.port}' for server in servers],
        behaviors={
            'ketama': True,
            'remove_failed': 1,
            'retry_timeout': 1,
            'dead_timeout': 60,
            'connect_timeout': 500,
            'num_replicas': 0,
        },
    )
    keys = [f'user:{i}' for i in range(3000)]
    for key in keys:
        assert client.set(key, key)
    shares = [int(server.stats()['curr_items']) for server in servers]
    assert sum(shares) == len(keys) and min(shares) > len(keys) / count / 2, shares
    servers[1].stop(signal.SIGKILL)
    kept, failed = 0, 0
    for key in keys:
        try:
            kept += client.get(key) == key
        except pylibmc.Error:
            failed += 1
    assert kept == shares[0] + shares[2], f'{kept} kept of {shares}'
    for key in keys:
        assert client.set(key, key), 'the ring does not go on'
    assert sum(client.get(key) == key for key in keys) == len(keys)
    print(
        f'{count} servers held {shares}; one killed: {kept} items were there, {failed} gets failed, '
        'then all were set anew'
    )


def hash_client():
    servers = [Server('-m', '16') for _ in range(3)]
    client = HashClient(
        [('127.0.0.1', server.port) for server in servers],
        ignore_exc=True,
        retry_attempts=0,
        timeout=20,
        connect_timeout=1,
    )
    for i in range(300):
        client.set(f'k{i}', str(i), noreply=False)
    servers[2].stop(signal.SIGKILL)
    kept = sum(client.get(f'k{i}') == str(i).encode() for i in range(300))
    assert 100 <= kept < 300, kept


def main():
    server = Server('-m', '64')
    pymemcache(server)
    libmemcached(server)
    ring(3)
    hash_client()


main()
