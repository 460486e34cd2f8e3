#!/bin/sh
# memcached_server, as its clients see it: the protocol answer by answer, the same answers as memcached's to random
# commands, memccapable and memcaslap of libmemcached, pymemcache and pylibmc (pip, requirements.txt), a ring of three
# servers one of which is killed, slow and hostile clients, and random streams under sanitizers. What is not there is
# left out. Runs every step, whatever the ones before it said, and closes with how many passed. Needs
# `make target/examples/memcached_server` first.
set -eu
cd "$(dirname "$0")/../.."
out=$PWD/target/memcached-test
venv=$out/venv
. tests/tools/steps.sh

python() { timeout 120 python3 "$@" </dev/null; }

# ---- options ----

# refused WORDS ARGUMENT...: it ends with 2 at once, and its message says what would be right
refused() {
    words=$1 result=0
    shift
    timeout 10 target/examples/memcached_server "$@" >"$out/said" 2>"$out/complained" </dev/null || result=$?
    cat "$out/complained"
    [ $result -eq 2 ] && grep -q -e "$words" "$out/complained"
}

options_are_refused() {
    refused "'-S' means nothing here" -S &&
        refused "'-x' means nothing here" -x &&
        refused "'--enable-sasl' means nothing here" --enable-sasl &&
        refused '-o slab_chunk_max means nothing here' -o slab_chunk_max=16384 &&
        refused "'-p' needs a value" -p &&
        refused "'extra' is one argument too many" extra &&
        refused '-t takes a number from 1 to 64' -t 0 &&
        refused '-c takes a number from 1 to' -c -1 &&
        refused '-m takes a number from 1 to' -m much &&
        refused '-I takes a number from 1024 to' -I 1000 &&
        refused 'at most [0-9]* bytes' -m 4 -I 256m &&
        refused 'no user' -u no-such-user &&
        refused '-p 0 is for a server with a socket' -p 0
}

# ---- built with sanitizers ----

build() {
    $1 -std=c11 -O1 -g -fsanitize="$2" -fno-sanitize-recover=all -Iinclude c-examples/memcached_server.c \
        -o "$out/server-$3" target/lib/liblarder.a -lpthread -lm
}

# with SERVER SCRIPT..: the script beside that build
with() { LARDER_MEMCACHED_SERVER=$out/server-$1 && export LARDER_MEMCACHED_SERVER && shift && python "$@"; }

answers_under_sanitizers() {
    (with asan tests/memcached/protocol.py) && (with asan tests/memcached/hostile.py)
}

# The library is not built for ThreadSanitizer, which sees nothing of its locks: only races of the server's own count.
threads() {
    echo 'race:larder::' >"$out/tsan.supp"
    (TSAN_OPTIONS="suppressions=$out/tsan.supp" && export TSAN_OPTIONS && with tsan tests/memcached/threads.py)
}

fuzz() { (with asan tests/memcached/fuzz.py "${FUZZ_SECONDS:-10}" "${FUZZ_SEED:-$(date +%s)}"); }

# ---- public clients, by pip ----

have_clients() {
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv" || return 1
    timeout 60 "$venv/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check \
        -r tests/memcached/requirements.txt && "$venv/bin/python" -c 'import pymemcache, pylibmc'
}

clients() { timeout 120 "$venv/bin/python" tests/memcached/clients.py </dev/null; }

# ---- all of it ----

beside() { python tests/memcached/beside.py 1 2000 && python tests/memcached/beside.py 12 2000; }

if [ ! -x target/examples/memcached_server ] || ! has python3; then
    skip 'ALL TESTS of memcached_server: it needs Linux and they need python3'
    close memcached
    exit
fi
step 'options that mean nothing, and values out of range, are refused' options_are_refused
step 'each command and each error has its answer' python tests/memcached/protocol.py
step 'slow and hostile clients hold up no other, and take no memory' python tests/memcached/hostile.py
if has memcached; then
    step 'random commands have the same answers as from memcached' beside
else
    skip "random commands beside memcached's answers: no memcached"
fi
for tool in memccapable memcaslap; do
    if has $tool; then
        step "$tool finds nothing" python tests/memcached/tools.py $tool
    else
        skip "$tool: not here (Debian: libmemcached-tools)"
    fi
done
if have_clients >"$out/pip" 2>&1; then
    step 'pymemcache, pylibmc, and a ring of three servers of which one is killed' clients
else
    skip 'pymemcache, pylibmc, and their ring of three servers: pip could not install requirements.txt: no network?'
fi
if build cc address,undefined asan >"$out/build" 2>&1; then
    step 'the same answers under AddressSanitizer and UndefinedBehaviorSanitizer' answers_under_sanitizers
    step 'random and mutated streams leave the server as it was' fuzz
else
    skip "fuzzing: $(head -n 1 "$out/build")"
fi
if build cc thread tsan >"$out/build" 2>&1; then
    step 'two threads of the server share without a race' threads
else
    skip "races: $(head -n 1 "$out/build")"
fi
close memcached
