/* load.c: a client for measuring a server of memcached's protocol: batches of commands over several connections, by
 * Zipf's law. One line of what was counted. Values are 'x's, so that lines alone delimit an answer.
 * usage: load --port P --kind KIND [--ops N] [--keys N] [--size BYTES] [--batch N] [--seed N]
 *   kind  fill    set each key once         scan       get each key once
 *         get, set   by Zipf's law, 0.9     cache      get, and set on a miss
 *   size  of a value; 0: 16 to 4,096 bytes, log-uniform over the keys */
#define _GNU_SOURCE

#include "../../c-examples/zipf.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 8
#define BATCH_MAX 64
#define BUFFER_SIZE (BATCH_MAX * (4096 + 128))
#define ALPHA 0.9

struct client {
    int fd;
    uint32_t keys[BATCH_MAX];
    bool missed[BATCH_MAX];
    size_t count, out_len;
    char out[BUFFER_SIZE];
};

struct load {
    uint64_t port, ops, keys, size, batch, seed, random;
    struct zipf zipf;
    uint64_t gets, hits, sets, stored, value_bytes, next_key;
    bool is_in_order, has_gets, has_sets;
};

static char value[4096], input[BUFFER_SIZE];

static int connect_to(uint64_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    require(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "the server is there");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static uint32_t value_size(const struct load *load, uint32_t key)
{
    return load->size != 0 ? (uint32_t)load->size : size_of_key(key);
}

/* Keys are numbered at random, so that neighbours in popularity are none elsewhere. 16 bytes. */
static int put_key(char *at, uint32_t key)
{
    return sprintf(at, "key:%012" PRIu64, mix64(key) % UINT64_C(1000000000000));
}

static void add_set(const struct load *load, struct client *client, uint32_t key)
{
    uint32_t size = value_size(load, key);
    char *at = client->out + client->out_len;
    at += sprintf(at, "set ");
    at += put_key(at, key);
    at += sprintf(at, " 0 0 %u\r\n", size);
    memcpy(at, value, size);
    at += size;
    *at++ = '\r';
    *at++ = '\n';
    client->out_len = (size_t)(at - client->out);
}

static void add_get(struct client *client, uint32_t key)
{
    char *at = client->out + client->out_len;
    at += sprintf(at, "get ");
    at += put_key(at, key);
    at += sprintf(at, "\r\n");
    client->out_len = (size_t)(at - client->out);
}

static void send_all(struct client *client)
{
    for (size_t sent = 0; sent < client->out_len;) {
        ssize_t count = write(client->fd, client->out + sent, client->out_len - sent);
        require(count > 0, "the server reads");
        sent += (size_t)count;
    }
    client->out_len = 0;
}

/* Reads lines until `count` commands are answered; of gets, which missed. */
static void read_answers(struct load *load, struct client *client, size_t count, bool are_gets)
{
    size_t len = 0, start = 0, answered = 0;
    bool found = false;
    while (answered < count) {
        ssize_t got = read(client->fd, input + len, sizeof input - len);
        require(got > 0, "the server answers");
        len += (size_t)got;
        for (char *end; (end = memchr(input + start, '\n', len - start)) != NULL;) {
            char *line = input + start, first = *line;
            start = (size_t)(end + 1 - input);
            if (first == 'V') {
                found = true;
                *end = '\0';
                load->value_bytes += strtoull(strrchr(line, ' '), NULL, 10);
            } else if (are_gets && first == 'E') {
                client->missed[answered++] = !found;
                load->hits += found;
                found = false;
            } else if (!are_gets) {
                load->stored += first == 'S';
                answered++;
            }
        }
    }
}

static void send_batch(struct load *load, struct client *client)
{
    client->count = 0;
    for (; client->count < load->batch; client->count++) {
        uint32_t key = load->is_in_order ? (uint32_t)load->next_key++ : zipf_next(&load->zipf, &load->random);
        client->keys[client->count] = key;
        if (load->has_gets)
            add_get(client, key);
        else
            add_set(load, client, key);
    }
    if (load->has_gets)
        load->gets += client->count;
    else
        load->sets += client->count;
    send_all(client);
}

static size_t send_missed(struct load *load, struct client *client)
{
    size_t count = 0;
    for (size_t i = 0; i < client->count; i++) {
        if (client->missed[i]) {
            add_set(load, client, client->keys[i]);
            count++;
        }
    }
    load->sets += count;
    send_all(client);
    return count;
}

static void run(struct load *load)
{
    static struct client clients[CONNECTIONS];
    for (size_t i = 0; i < CONNECTIONS; i++)
        clients[i].fd = connect_to(load->port);
    for (uint64_t done = 0; done < load->ops; done += CONNECTIONS * load->batch) {
        size_t missed[CONNECTIONS] = { 0 };
        for (size_t i = 0; i < CONNECTIONS; i++)
            send_batch(load, &clients[i]);
        for (size_t i = 0; i < CONNECTIONS; i++)
            read_answers(load, &clients[i], clients[i].count, load->has_gets);
        if (!load->has_gets || !load->has_sets)
            continue;
        for (size_t i = 0; i < CONNECTIONS; i++)
            missed[i] = send_missed(load, &clients[i]);
        for (size_t i = 0; i < CONNECTIONS; i++)
            read_answers(load, &clients[i], missed[i], false);
    }
    for (size_t i = 0; i < CONNECTIONS; i++)
        close(clients[i].fd);
}

int main(int argc, char **argv)
{
    static struct load load = { .ops = 100000, .keys = 1000000, .size = 100, .batch = 1, .seed = 1 };
    const char *kind = "get";
    const struct program_option known[] = {
        { "port", &load.port, 1, 65535, NULL },         { "kind", NULL, 0, 0, &kind },
        { "ops", &load.ops, 1, UINT32_MAX, NULL },       { "keys", &load.keys, 1, 100000000, NULL },
        { "size", &load.size, 0, sizeof value, NULL },   { "batch", &load.batch, 1, BATCH_MAX, NULL },
        { "seed", &load.seed, 0, UINT64_MAX, NULL },
    };
    read_arguments(argc, argv, "usage: load --port P --kind fill|scan|get|set|cache [--ops N] [--keys N] "
                   "[--size BYTES] [--batch N] [--seed N]\n\n", known, 7, NULL);
    load.is_in_order = strcmp(kind, "fill") == 0 || strcmp(kind, "scan") == 0;
    load.has_gets = strcmp(kind, "get") == 0 || strcmp(kind, "cache") == 0 || strcmp(kind, "scan") == 0;
    load.has_sets = !load.has_gets || strcmp(kind, "cache") == 0;
    require(load.is_in_order || load.has_gets || strcmp(kind, "set") == 0, "a kind is fill, scan, get, set or cache");
    load.random = load.seed;
    memset(value, 'x', sizeof value);
    if (!load.is_in_order)
        zipf_init(&load.zipf, (uint32_t)load.keys, ALPHA);
    run(&load);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", load.gets, load.hits, load.sets,
           load.stored, load.value_bytes);
    return EXIT_SUCCESS;
}
