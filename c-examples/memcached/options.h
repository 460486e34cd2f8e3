/* options.h: the command line, in memcached's words. What would mean nothing here is refused by its name. */
#ifndef MEMCACHED_OPTIONS_H
#define MEMCACHED_OPTIONS_H

#include "../example.h"
#include "server.h"

#define MEGABYTE (UINT64_C(1) << 20)

static const char HELP[] =
    "usage: memcached_server [-p PORT] [-l ADDRESS] [-s FILE] [-m MEGABYTES] [-t THREADS] [-c CONNECTIONS] [-I SIZE]\n"
    "                        [-M] [-F] [-v] [-b BACKLOG] [-u USER] [-o NAME=VALUE,..]\n"
    "\n"
    "A server of memcached's text protocol and meta commands over a larder cache.\n"
    "\n"
    "  -p, --port=N                TCP port (default 11211); with -s there is none\n"
    "  -l, --listen=ADDRESS        address to listen at (default 127.0.0.1)\n"
    "  -s, --unix-socket=FILE      listen at this socket instead of a port\n"
    "  -m, --memory-limit=N        megabytes for items, their headers and the index (default 64)\n"
    "  -t, --threads=N             threads, 1 to 64 (default 4)\n"
    "  -c, --conn-limit=N          connections at a time (default 1024)\n"
    "  -I, --max-item-size=SIZE    largest item, as 512k or 4m (default 1m, or what -m allows)\n"
    "  -M, --disable-evictions     an error where there is no room, instead of evicting\n"
    "  -F, --disable-flush-all     refuse flush_all\n"
    "  -b, --listen-backlog=N      connections that wait to be accepted (default 1024)\n"
    "  -u, --user=USER             the user to become, where root starts it\n"
    "  -v, -vv                     print connections, and commands\n"
    "  -V, --version               print the version\n"
    "  -o, --extended=LIST         idle_timeout=SECONDS (default 0: none), hashpower=N: expect 2^N items;\n"
    "                              debug_time: the command debugtime N moves the clock N seconds on;\n"
    "                              maxconns_fast and relaxed_privileges are always so\n";

_Noreturn static void refuse(const char *format, const char *name)
{
    fputs("memcached_server: ", stderr);
    fprintf(stderr, format, name);
    fputc('\n', stderr);
    exit_usage(HELP);
}

static uint64_t number_of(char letter, const char *text, uint64_t min, uint64_t max)
{
    uint64_t number;
    if (!parse_size(text, min, max, &number)) {
        fprintf(stderr, "-%c takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'\n", letter, min, max, text);
        exit_usage(HELP);
    }
    return number;
}

static void read_extended(struct settings *settings, char *list)
{
    for (char *rest = NULL, *name = strtok_r(list, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        char *value = strchr(name, '=');
        if (value != NULL)
            *value++ = '\0';
        if (strcmp(name, "idle_timeout") == 0 && value != NULL)
            settings->idle_seconds = number_of('o', value, 0, UINT32_MAX);
        else if (strcmp(name, "hashpower") == 0 && value != NULL)
            settings->hashpower = number_of('o', value, 10, 32);
        else if (strcmp(name, "debug_time") == 0)
            settings->has_debug_time = true;
        else if (strcmp(name, "maxconns_fast") != 0 && strcmp(name, "relaxed_privileges") != 0)
            refuse("-o %s means nothing here", name);
    }
}

static void read_options(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {
        { "port", required_argument, NULL, 'p' },          { "listen", required_argument, NULL, 'l' },
        { "unix-socket", required_argument, NULL, 's' },   { "memory-limit", required_argument, NULL, 'm' },
        { "threads", required_argument, NULL, 't' },       { "conn-limit", required_argument, NULL, 'c' },
        { "max-item-size", required_argument, NULL, 'I' }, { "disable-evictions", no_argument, NULL, 'M' },
        { "listen-backlog", required_argument, NULL, 'b' }, { "user", required_argument, NULL, 'u' },
        { "disable-flush-all", no_argument, NULL, 'F' },
        { "verbose", no_argument, NULL, 'v' },             { "extended", required_argument, NULL, 'o' },
        { "help", no_argument, NULL, 'h' },                { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    int letter;
    *settings = (struct settings){ .port = 11211, .memory = 64 * MEGABYTE, .threads = 4, .connections = 1024,
                                   .item_size_max = MEGABYTE, .backlog = 1024 };
    while ((letter = getopt_long(argc, argv, ":p:l:s:m:t:c:I:MFb:u:vo:hV", names, NULL)) != -1) {
        switch (letter) {
        case 'p': settings->port = number_of('p', optarg, 0, UINT16_MAX); break;
        case 'l': settings->listen = optarg; break;
        case 's': settings->socket_path = optarg; break;
        case 'm': settings->memory = number_of('m', optarg, 1, UINT64_C(200000)) * MEGABYTE; break;
        case 't': settings->threads = number_of('t', optarg, 1, THREADS_MAX); break;
        case 'c': settings->connections = number_of('c', optarg, 1, UINT64_C(100000)); break;
        case 'I': settings->item_size_max = number_of('I', optarg, 1024, 1024 * MEGABYTE);
                  settings->has_item_size_max = true;
                  break;
        case 'M': settings->no_evict = true; break;
        case 'F': settings->no_flush = true; break;
        case 'b': settings->backlog = number_of('b', optarg, 1, INT32_MAX); break;
        case 'u': settings->user = optarg; break;
        case 'v': settings->verbosity++; break;
        case 'o': read_extended(settings, optarg); break;
        case 'h': fputs(HELP, stdout); exit(EXIT_SUCCESS);
        case 'V': printf("memcached %s\n", SERVER_VERSION); exit(EXIT_SUCCESS);
        case ':': refuse("'%s' needs a value", argv[optind - 1]);
        default: refuse("'%s' means nothing here", argv[optind - 1]);
        }
    }
    if (optind < argc)
        refuse("'%s' is one argument too many", argv[optind]);
    if (settings->port == 0 && settings->socket_path == NULL)
        refuse("-p 0 is for a server with a socket of its own: %s", "-s FILE");
}

#endif
