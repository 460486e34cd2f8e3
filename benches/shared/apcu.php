<?php
// Answers the requests of a file from APCu, in one process: fetch, and on a miss store. What it prints is described in
// larder.c. A wipe is an expunge by APCu's own count.
// usage: php -d apc.enable_cli=1 -d apc.shm_size=32M apcu.php FILE WINDOW PAUSE
//        PAUSE: microseconds after each window, for a setting that counts seconds

if (!function_exists('apcu_enabled') || !apcu_enabled()) {
    fwrite(STDERR, "apcu.php: APCu is not enabled: php-apcu and -d apc.enable_cli=1\n");
    exit(1);
}
if ($argc != 4) {
    fwrite(STDERR, "usage: apcu.php FILE WINDOW PAUSE\n");
    exit(2);
}

function expunges(): int
{
    return apcu_cache_info(true)['expunges'];
}

$requests = fopen($argv[1], 'r');
$every = (int)$argv[2];
$pause = (int)$argv[3];
[$gets, $hits, $stores, $refused, $wrong, $wipes] = [0, 0, 0, 0, 0, expunges()];
while (($line = fgets($requests)) !== false) {
    [$key, $len] = explode(' ', $line);
    $len = (int)$len;
    $gets++;
    $value = apcu_fetch($key, $found);
    if ($found) {
        $hits++;
        $wrong += strlen($value) != $len ? 1 : 0;
    } else {
        $stores++;
        $refused += apcu_store($key, str_repeat('x', $len)) ? 0 : 1;
    }
    if ($gets == $every) {
        // No store evicts: APCu removes what has expired, by apc.ttl as well, or all.
        echo "$gets $hits $stores $refused 0 ", expunges() - $wipes, " $wrong\n";
        [$gets, $hits, $stores, $refused, $wrong, $wipes] = [0, 0, 0, 0, 0, expunges()];
        usleep($pause);
    }
}
