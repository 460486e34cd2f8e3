#!/bin/sh
# Prints a made-up trace, a key a line, the same on every machine: popular keys, of which the n-th is asked for 1/n as
# often as the first, and now and then 3,000 keys in order, which are asked for once.
awk 'BEGIN {
    random = 1
    for (i = 0; i < 60000; i++) {
        random = random * 16807 % 2147483647
        if (i % 15000 < 3000)
            printf "scan:%05d\n", i
        else
            printf "user:%05d\n", exp(random / 2147483647 * log(8000))
    }
}'
