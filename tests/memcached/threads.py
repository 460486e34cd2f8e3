"""Clients in several threads that count in one item: no count is lost, and each reads what was written whole."""

import threading

from server import Server

THREADS, ROUNDS = 4, 500


def work(server, failures, number):
    try:
        with server.connect() as client:
            for i in range(ROUNDS):
                client.send('incr total 1\r\nma meta q\r\nappend log 0 0 1 noreply\r\nx\r\n')
                client.input.readline()
                value = chr(97 + number) * (1 + i % 300)
                assert client.line(f'set shared {number} 0 {len(value)}\r\n{value}\r\n') == 'STORED'
                client.send('get shared\r\n')
                header, data = client.input.readline().split(), client.input.readline().rstrip()
                assert len(set(data)) == 1 and data[0] == 97 + int(header[2]), (header, data)
                client.input.readline()
    except BaseException as failure:
        failures.append(failure)


def main():
    server, failures = Server('-m', '8', '-t', '4', '-I', '64k'), []
    with server.connect() as client:
        client.ask('set total 0 0 1\r\n0\r\nset meta 0 0 1\r\n0\r\nset log 0 0 0\r\n\r\n', 'STORED\r\n' * 3)
        threads = [threading.Thread(target=work, args=(server, failures, n)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures
        client.ask('incr total 0\r\nma meta D0 v\r\nmg log s\r\n', '2000\r\nVA 4\r\n2000\r\nHD s2000\r\n')
        client.ask('flush_all\r\nstats reset\r\n', 'OK\r\nRESET\r\n')
    assert server.stop() == 0, 'the server ended badly: a race?'


main()
