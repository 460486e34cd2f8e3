"""Text protocol and meta commands, answer by answer: what memcached's protocol.txt says, its errors, and that no error
takes the stream out of step. `ask` requires the whole answer and nothing behind it."""

import os
import socket
import subprocess
import tempfile
import time

from server import SERVER, Server

LONG = 'k' * 251


def storing(c):
    c.ask('set a 5 0 3\r\nabc\r\nget a\r\n', 'STORED\r\nVALUE a 5 3\r\nabc\r\nEND\r\n')
    c.ask('add a 0 0 1\r\nx\r\nadd b 0 0 0\r\n\r\n', 'NOT_STORED\r\nSTORED\r\n')
    c.ask('replace none 0 0 1\r\nx\r\nreplace a 1 0 2\r\nxy\r\n', 'NOT_STORED\r\nSTORED\r\n')
    c.ask(
        'append a 9 0 1\r\nz\r\nprepend a 9 0 1\r\nw\r\nget a b\r\n',
        'STORED\r\nSTORED\r\nVALUE a 1 4\r\nwxyz\r\nVALUE b 0 0\r\n\r\nEND\r\n',
    )
    c.ask('append none 0 0 1\r\nx\r\nprepend none 0 0 1\r\nx\r\n', 'NOT_STORED\r\nNOT_STORED\r\n')
    c.ask('set q 0 0 1 noreply\r\nx\r\nadd q 0 0 1 noreply\r\ny\r\nget q\r\n', 'VALUE q 0 1\r\nx\r\nEND\r\n')
    for flags in (0, 255, 256, 2**32 - 1):
        c.ask(
            f'set f {flags} 0 2\r\nab\r\nappend f 0 0 1\r\nc\r\nget f\r\n',
            f'STORED\r\nSTORED\r\nVALUE f {flags} 3\r\nabc\r\nEND\r\n',
        )
    c.ask(b'set bin 0 0 5\r\n\r\n\0\r\n\r\nget bin\r\n', b'STORED\r\nVALUE bin 0 5\r\n\r\n\0\r\n\r\nEND\r\n')


def cas(c):
    c.ask('set v 0 0 1\r\n1\r\nset w 0 0 1\r\n1\r\n', 'STORED\r\nSTORED\r\n')
    first = c.line('gets v\r\n').split()[4]
    c.input.readline(), c.input.readline()
    second = c.line('gets w\r\n').split()[4]
    c.input.readline(), c.input.readline()
    assert first != second, 'two items have one cas'
    c.ask(
        f'cas v 0 0 1 {first}\r\n2\r\ncas v 0 0 1 {first}\r\n3\r\ncas none 0 0 1 1\r\nx\r\nget v\r\n',
        'STORED\r\nEXISTS\r\nNOT_FOUND\r\nVALUE v 0 1\r\n2\r\nEND\r\n',
    )


def numbers(c):
    c.ask(
        'set n 0 0 2\r\n10\r\nincr n 1\r\ndecr n 2\r\nget n\r\n', 'STORED\r\n11\r\n9\r\nVALUE n 0 2\r\n9 \r\nEND\r\n'
    )
    c.ask('decr n 100\r\nincr n 18446744073709551615\r\nincr n 2\r\n', '0\r\n18446744073709551615\r\n1\r\n')
    c.ask('incr none 1\r\ndecr none 1\r\n', 'NOT_FOUND\r\nNOT_FOUND\r\n')
    c.ask(
        'set t 0 0 2\r\nhi\r\nincr t 1\r\n',
        'STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n',
    )
    c.ask(
        'incr n x\r\nincr n 18446744073709551616\r\nincr n -1\r\n',
        3 * 'CLIENT_ERROR invalid numeric delta argument\r\n',
    )
    c.ask('incr n 1 noreply\r\nget n\r\n', 'VALUE n 0 20\r\n2' + 19 * ' ' + '\r\nEND\r\n')


def time_to_live(c):
    c.ask(
        'set e 0 50 1\r\nx\r\nset m 0 -1 1\r\nx\r\nset p 0 1000000000 1\r\nx\r\nget e m p\r\n',
        'STORED\r\nSTORED\r\nSTORED\r\nVALUE e 0 1\r\nx\r\nEND\r\n',
    )
    c.ask(
        'add m 0 0 1\r\ny\r\nreplace p 0 0 1\r\ny\r\ndelete p\r\nget m\r\n',
        'STORED\r\nNOT_STORED\r\nNOT_FOUND\r\nVALUE m 0 1\r\ny\r\nEND\r\n',
    )
    c.ask(
        'debugtime 30\r\nget e\r\ntouch e 100\r\ndebugtime 50\r\nget e\r\ngat 200 e\r\ndebugtime 150\r\n',
        'OK\r\nVALUE e 0 1\r\nx\r\nEND\r\nTOUCHED\r\nOK\r\nVALUE e 0 1\r\nx\r\nEND\r\n'
        'VALUE e 0 1\r\nx\r\nEND\r\nOK\r\n',
    )
    c.ask(
        'get e\r\ndebugtime 60\r\nget e\r\ntouch e 1\r\ngat 5 e\r\n',
        'VALUE e 0 1\r\nx\r\nEND\r\nOK\r\nEND\r\nNOT_FOUND\r\nEND\r\n',
    )
    c.ask('set e 0 0 1\r\nx\r\ntouch e -1\r\nget e\r\ntouch e 9\r\n', 'STORED\r\nTOUCHED\r\nEND\r\nNOT_FOUND\r\n')


def flushing(c):
    c.ask(
        'set a 0 0 1\r\nx\r\nflush_all\r\nget a\r\nset a 0 0 1\r\nx\r\nflush_all 20\r\nget a\r\n',
        'STORED\r\nOK\r\nEND\r\nSTORED\r\nOK\r\nVALUE a 0 1\r\nx\r\nEND\r\n',
    )
    c.ask('debugtime 20\r\n', 'OK\r\n')
    c.ask('get a\r\nflush_all 0 noreply\r\nflush_all x\r\n', 'END\r\nCLIENT_ERROR invalid exptime argument\r\n')


def errors(c):
    c.ask('foo\r\n\r\nget\r\ngat\r\nset a 0 0\r\ntouch a\r\nincr a\r\nmz a\r\nverbosity\r\n', 9 * 'ERROR\r\n')
    bad = 'CLIENT_ERROR bad command line format\r\n'
    c.ask(f'set {LONG} 0 0 1\r\nget {LONG}\r\nget a {LONG} b\r\ndelete {LONG}\r\nmg {LONG} v\r\n', 5 * bad)
    c.ask('set a x 0 1\r\nset a 0 x 1\r\nset a 0 0 x\r\nset a 0 0 -1\r\nset a 4294967296 0 1\r\n', 5 * bad)
    c.ask('set a 0 0 2\r\nabcdef\r\nget a\r\n', 'CLIENT_ERROR bad data chunk\r\nERROR\r\nEND\r\n')
    c.ask('delete a 5\r\n', bad[:-2] + '.  Usage: delete <key> [noreply]\r\n')
    c.ask(
        'set a 0 0 1\r\nx\r\nset a 0 0 2000000\r\n' + 'x' * 2000000 + '\r\nget a\r\n',
        'STORED\r\nSERVER_ERROR object too large for cache\r\nEND\r\n',
    )
    c.ask('delete a 0\r\ndelete a noreply\r\ntouch a x\r\n', 'NOT_FOUND\r\nCLIENT_ERROR invalid exptime argument\r\n')
    c.ask('verbosity 0\r\nverbosity 0 noreply\r\nstats nonsense\r\nstats reset\r\n', 'OK\r\nERROR\r\nRESET\r\n')


def meta(c):
    c.ask(
        'mg none v\r\nmg none v k Oq\r\nmg none q\r\nmd none\r\nma none\r\nme none\r\n',
        'EN\r\nEN knone Oq\r\nNF\r\nNF\r\nEN\r\n',
    )
    c.ask('ms a 2 T9000 F7\r\nhi\r\nmg a s f t v k O12\r\n', 'HD\r\nVA 2 s2 f7 t9000 ka O12\r\nhi\r\n')
    c.ask('mg a h\r\nmg a h\r\nmg a u h\r\n', 'HD h1\r\nHD h1\r\nHD h1\r\n')
    c.ask('ms l 1\r\nx\r\nmg l\r\ndebugtime 100\r\n', 'HD\r\nHD\r\nOK\r\n')
    assert c.line('mg l l\r\n')[:7] in ('HD l100', 'HD l101', 'HD l102') and c.line('mg l l u\r\n') in (
        'HD l0',
        'HD l1',
    )
    c.ask('ms b 1 q\r\nx\r\nmg b h u\r\nmg b h\r\nmg b h\r\n', 'HD h0\r\nHD h0\r\nHD h1\r\n')
    c.ask(
        'ms YmluYXJ5IGtleQ== 1 b k Ox\r\nx\r\nmg YmluYXJ5IGtleQ== b v k\r\nme YmluYXJ5 b\r\n',
        'HD kYmluYXJ5IGtleQ== b Ox\r\nVA 1 kYmluYXJ5IGtleQ== b\r\nx\r\nEN\r\n',
    )
    c.ask(
        'ms a 1 ME\r\nx\r\nms new 1 ME\r\nx\r\nms gone 1 MR\r\nx\r\nms new 1 MA\r\ny\r\nms new 1 MP\r\nw\r\n',
        'NS\r\nHD\r\nNS\r\nHD\r\nHD\r\n',
    )
    c.ask('mg new v\r\nms gone 1 MA\r\nx\r\n', 'VA 3\r\nwxy\r\nNS\r\n')
    c.ask(
        'ma cnt N0 J5 v\r\nma cnt v D3\r\nma cnt MD D2 v\r\nma cnt MD D99 v\r\nma cnt q\r\nma cnt N0 T30 t v\r\n',
        'VA 1\r\n5\r\nVA 1\r\n8\r\nVA 1\r\n6\r\nVA 1\r\n0\r\nVA 1 t30\r\n2\r\n',
    )
    c.ask('md a q\r\nmd a q\r\nmg a v\r\n', 'NF\r\nEN\r\n')
    for bad, answer in (
        ('mg a !', 'invalid flag'),
        ('mg a v v', 'duplicate flag'),
        ('mg a Tx', 'bad token in command line format'),
        ('mg a O' + 'x' * 32, 'opaque token too long'),
        ('ma a M', 'invalid or duplicate flag'),
        ('ma a MZ', 'invalid mode for ma M token'),
        ('ms a', 'bad command line format'),
        ('ms a x', 'bad command line format'),
        ('mg a! b', 'error decoding key'),
    ):
        c.ask(bad + '\r\n', f'CLIENT_ERROR {answer}\r\n')
    c.ask(
        'ms a 3 MZ\r\nabc\r\nms a 3 v v\r\nabc\r\n',
        'CLIENT_ERROR invalid mode for ms M token\r\nCLIENT_ERROR duplicate flag\r\n',
    )


def recache(c):
    """N and R have one winner; what md I marks is stale until it is set; C guards."""
    c.ask(
        'mg lease N30 t v\r\nmg lease N30 v\r\nms lease 1\r\nx\r\nmg lease N30 v\r\n',
        'VA 0 t30 W\r\n\r\nVA 0 Z\r\n\r\nHD\r\nVA 1\r\nx\r\n',
    )
    c.ask('ms r 1 T20\r\nx\r\nmg r R10\r\nmg r R30\r\nmg r R30\r\n', 'HD\r\nHD\r\nHD W\r\nHD Z\r\n')
    c.ask('md r I T9\r\nmg r t v\r\nmg r v\r\n', 'HD\r\nVA 1 t9 X W\r\nx\r\nVA 1 Z X\r\nx\r\n')
    now = c.line('mg r c\r\n').split()[1]
    c.ask('ms r 1 I C1 T90\r\ny\r\n', 'HD\r\n')
    words = c.line('mg r t\r\n').split()
    assert words[0] == 'HD' and 1 <= int(words[1][1:]) <= 9 and words[2:] == ['Z', 'X'], words
    c.ask('mg r v\r\n', 'VA 1 Z X\r\ny\r\n')
    c.ask(f'ms r 1 {now.upper()}\r\nz\r\nmd r {now.upper()}\r\n', 'EX\r\nEX\r\n')
    now = c.line('mg r c\r\n').split()[1].upper()
    c.ask(f'ms r 1 {now}\r\nz\r\nmg r v\r\n', 'HD\r\nVA 1\r\nz\r\n')
    now = c.line('mg r c\r\n').split()[1].upper()
    c.ask(f'md r {now}\r\nmg r v\r\nms r 1 ME\r\nx\r\nmg r v\r\n', 'HD\r\nEN\r\nHD\r\nVA 1\r\nx\r\n')


def long_ones(c):
    """Values that fit no buffer, gets of more keys than a line holds, and many commands in one packet."""
    big = 'b' * 1000000
    c.ask(
        f'set big 300 0 {len(big)}\r\n{big}\r\nget big\r\n', f'STORED\r\nVALUE big 300 {len(big)}\r\n{big}\r\nEND\r\n'
    )
    c.ask(
        'append big 0 0 4\r\ntail\r\nget big none big\r\n',
        'STORED\r\n' + 2 * f'VALUE big 300 {len(big) + 4}\r\n{big}tail\r\n' + 'END\r\n',
    )
    c.ask(f'append big 0 0 {len(big)}\r\n{big}\r\nmg big s\r\n', f'NOT_STORED\r\nHD s{len(big) + 4}\r\n')
    keys = [f'key:{i:05}' for i in range(5000)]
    c.ask(''.join(f'set {key} 0 0 9\r\n{key}\r\n' for key in keys), 5000 * 'STORED\r\n')
    answer = ''.join(f'VALUE {key} 0 9\r\n{key}\r\n' for key in keys) + 'END\r\n'
    c.ask('get ' + ' '.join(keys) + '\r\n', answer)
    c.ask('gat 0  ' + '  '.join(keys) + ' \n', answer)


def statistics(server):
    with server.connect() as c:
        c.ask(
            'flush_all\r\nstats reset\r\nset s 0 0 1\r\n1\r\nget s\r\nget none\r\nincr s 1\r\ncas s 0 0 1 1\r\n2\r\n'
            'touch s 0\r\ndelete s\r\ndelete s\r\ncas s 0 0 1 1\r\n2\r\n',
            'OK\r\nRESET\r\nSTORED\r\nVALUE s 0 1\r\n1\r\nEND\r\nEND\r\n2\r\nEXISTS\r\nTOUCHED\r\nDELETED\r\n'
            'NOT_FOUND\r\nNOT_FOUND\r\n',
        )
        found = c.stats()
        for name, value in dict(
            cmd_get=2,
            get_hits=1,
            get_misses=1,
            cmd_set=3,
            incr_hits=1,
            cas_badval=1,
            cas_misses=1,
            touch_hits=1,
            delete_hits=1,
            delete_misses=1,
            curr_items=0,
            limit_maxbytes=16 << 20,
            threads=2,
        ).items():
            assert int(found[name]) == value, f'{name} is {found[name]}, not {value}'
        assert int(found['pid']) == server.process.pid
        c.ask('set s 0 0 1\r\n1\r\n', 'STORED\r\n')
        assert c.stats()['curr_items'] == '1' and int(c.stats()['bytes']) > 2
        assert c.stats('settings')['maxbytes'] == str(16 << 20) and c.stats('settings')['evictions'] == 'on'
        assert c.stats('items')['items:1:number'] == '1' and c.stats('slabs')['active_slabs'] == '1'
        assert c.line('version\r\n').startswith('VERSION ')


def no_evictions():
    server = Server('-M', '-m', '2', '-F')
    with server.connect() as c:
        kept = 0
        while (answer := c.line(f'set k{kept} 0 0 8000\r\n{"x" * 8000}\r\n')) == 'STORED':
            kept += 1
        assert answer == 'SERVER_ERROR out of memory storing object' and kept > 200, (answer, kept)
        for i in range(kept):
            c.ask(f'mg k{i} s\r\n', 'HD s8000\r\n')
        c.ask('flush_all\r\n', 'CLIENT_ERROR flush_all not allowed\r\n')
    assert server.stats()['evictions'] == '0' and server.stop() == 0


def at_a_path():
    """-s: a socket in the file system, which is gone in the end."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, 'socket')
        process = subprocess.Popen([SERVER, '-s', path])
        try:
            with socket.socket(socket.AF_UNIX) as client:
                end = time.monotonic() + 20
                while client.connect_ex(path) != 0:
                    assert time.monotonic() < end, 'nothing listens at the path'
                    time.sleep(0.05)
                client.sendall(b'set a 0 0 1\r\nx\r\nget a\r\n')
                answer = b''
                while not answer.endswith(b'END\r\n'):
                    answer += client.recv(100)
            assert answer == b'STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n', answer
        finally:
            process.terminate()
        assert process.wait(20) == 0 and not os.path.exists(path)


def main():
    server = Server('-m', '16', '-t', '2', '-o', 'debug_time')
    for part in (storing, cas, numbers, time_to_live, flushing, errors, meta, recache, long_ones):
        with server.connect() as client:
            part(client)
    statistics(server)
    with server.connect() as c:
        c.send('version\r\nquit\r\nversion\r\n')
        assert c.input.readline().startswith(b'VERSION') and c.is_closed(), 'quit does not close'
    assert server.stop() == 0, 'the server does not end well'
    no_evictions()
    at_a_path()


main()
print("every answer as it should be")
