/* redis_cluster.h: which Redis server has a key: one server for all, or the nodes of a cluster, each with a link of its
 * own, so each tells of the keys that were read through it.
 *
 * A cluster has 16384 slots, and a key belongs to one of them by its CRC. Each node is believed about the slots that it
 * has itself: when it is connected, and with every beat. A node that has a slot no longer answers MOVED; one that is
 * handing it over answers ASK. Where a slot has another node than before, `on_moved` runs: what the old node would
 * have told is lost, so that is where a cache is cleared. */
#ifndef REDIS_CLUSTER_H
#define REDIS_CLUSTER_H

#include "redis_link.h"

#define SLOTS 16384
#define NODES_MAX 64
#define NO_NODE NODES_MAX
#define REDIRECTS_MAX 5
#define PORT_MAX 65535

struct redis_cluster {
    uint64_t timeout_ms;
    struct link_events events; /* of each link; on_slots calls cluster_take_slots */
    void (*on_moved)(void *ctx);
    pthread_mutex_t lock; /* taken to add a node or to give a slot away; never while a link is called */
    atomic_uint count;    /* of nodes; they are added, and stay */
    struct redis_link *_Atomic links[NODES_MAX];
    atomic_uchar owners[SLOTS];
    atomic_uint_fast64_t moved, asked; /* answers of that kind */
};

/* ---- slots ---- */

/* CRC16 as the cluster's specification has it (XMODEM: polynomial 0x1021, from 0). */
static inline uint16_t crc16(const char *bytes, size_t len)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint32_t)(unsigned char)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return (uint16_t)crc;
}

/* Keys with the same text between their first { and the } after it have the same slot. */
static inline unsigned slot_of(const char *key, size_t len)
{
    const char *open = memchr(key, '{', len);
    if (open != NULL) {
        const char *close = memchr(open, '}', len - (size_t)(open - key));
        if (close != NULL && close > open + 1)
            return crc16(open + 1, (size_t)(close - open - 1)) % SLOTS;
    }
    return crc16(key, len) % SLOTS;
}

/* ---- nodes ---- */

static inline struct redis_link *node_at(struct redis_cluster *cluster, unsigned index)
{
    return index < atomic_load(&cluster->count) ? atomic_load(&cluster->links[index]) : NULL;
}

/* The number of the node at an address, which is connected to where it is new; NO_NODE where there are too many. The
 * lock is held. */
static inline unsigned node_for(struct redis_cluster *cluster, const char *host, int port)
{
    unsigned count = atomic_load(&cluster->count);
    for (unsigned i = 0; i < count; i++) {
        const struct redis_link *link = node_at(cluster, i);
        if (link->port == port && strcmp(link->host, host) == 0)
            return i;
    }
    if (count == NODES_MAX)
        return NO_NODE;
    struct link_events events = cluster->events;
    atomic_store(&cluster->links[count], link_start(host, port, cluster->timeout_ms, &events));
    atomic_store(&cluster->count, count + 1);
    return count;
}

/* Whether the slot had another node before, and has been used through it. */
static inline bool give_slot(struct redis_cluster *cluster, unsigned slot, unsigned node)
{
    unsigned before = atomic_exchange(&cluster->owners[slot], (unsigned char)node);
    return before != node && before != NO_NODE;
}

/* The node's own slots, of an answer to CLUSTER SLOTS: [first, last, [host, port, id, ..], replicas..]..
 * Nodes that are new get a link, and speak for themselves once it is up. */
static inline bool take_slots(struct redis_cluster *cluster, struct redis_link *link, const redisReply *range)
{
    const redisReply *node = range->elements >= 3 ? range->element[2] : NULL;
    bool has_moved = false;
    if (node == NULL || node->elements < 3 || node->element[0]->str == NULL || node->element[2]->str == NULL)
        return false;
    long long first = range->element[0]->integer, last = range->element[1]->integer, port = node->element[1]->integer;
    if (first < 0 || last >= SLOTS || port < 1 || port > PORT_MAX)
        return false;
    unsigned index = NO_NODE;
    bool has_name = node->element[0]->len > 0 && node->element[0]->len < HOST_MAX;
    if (strcmp(node->element[2]->str, link->id) == 0) {
        for (index = 0; node_at(cluster, index) != NULL && node_at(cluster, index) != link; index++) {
        }
        if (has_name) /* the other nodes call it by this name */
            snprintf(link->host, sizeof link->host, "%s", node->element[0]->str);
    } else if (has_name) {
        node_for(cluster, node->element[0]->str, (int)port);
    }
    for (long long slot = first; slot <= last && index != NO_NODE; slot++)
        has_moved |= give_slot(cluster, (unsigned)slot, index);
    return has_moved;
}

/* For on_slots. */
static inline void cluster_take_slots(struct redis_cluster *cluster, struct redis_link *link, const redisReply *slots)
{
    bool has_moved = false;
    pthread_mutex_lock(&cluster->lock);
    for (size_t i = 0; slots->type == REDIS_REPLY_ARRAY && i < slots->elements; i++)
        has_moved |= take_slots(cluster, link, slots->element[i]);
    pthread_mutex_unlock(&cluster->lock);
    if (has_moved)
        cluster->on_moved(cluster->events.ctx);
}

/* ---- calls ---- */

/* The node of a key. */
static inline struct redis_link *link_of(struct redis_cluster *cluster, const char *key, size_t len)
{
    struct redis_link *only = node_at(cluster, 0);
    if (!atomic_load(&only->is_sharded))
        return only;
    unsigned owner = atomic_load(&cluster->owners[slot_of(key, len)]);
    return owner == NO_NODE ? only : node_at(cluster, owner); /* any node names the right one */
}

/* "MOVED 3999 127.0.0.1:6381" or "ASK ..": the node that it names, which has the slot from now on where it is MOVED. A
 * name that is left out is the name of the node that said it. */
static inline struct redis_link *follow(struct redis_cluster *cluster, const char *error,
                                        const struct redis_link *said_by)
{
    unsigned slot;
    int port, at = 0;
    bool is_moved = strncmp(error, "MOVED ", 6) == 0, has_moved = false;
    char host[HOST_MAX] = "";
    const char *text = error + (is_moved ? 6 : 4), *colon = strrchr(text, ':');
    if (colon == NULL || sscanf(text, "%5u %n", &slot, &at) != 1 || at == 0 || slot >= SLOTS || text + at > colon ||
        colon - text - at >= HOST_MAX || (port = (int)strtol(colon + 1, NULL, 10)) < 1 || port > PORT_MAX)
        return NULL;
    memcpy(host, text + at, (size_t)(colon - text - at));
    pthread_mutex_lock(&cluster->lock);
    unsigned node = node_for(cluster, host[0] != '\0' ? host : said_by->host, port);
    if (is_moved && node != NO_NODE)
        has_moved = give_slot(cluster, slot, node);
    pthread_mutex_unlock(&cluster->lock);
    atomic_fetch_add(is_moved ? &cluster->moved : &cluster->asked, 1);
    if (has_moved)
        cluster->on_moved(cluster->events.ctx);
    return node_at(cluster, node);
}

/* A node that was not known a moment ago is connected by its own thread. */
static inline void wait_until_up(const struct redis_link *link, uint64_t until_ms)
{
    while (atomic_load(&link->epoch) == 0 && ms_now() < until_ms)
        poll(NULL, 0, 1);
}

/* Sends a command about a key to the node that has it. The caller frees `*out`, written with LINK_OK alone. Writes
 * whether the answer is from a node that is taking the slot over, and is not its owner yet. */
static inline enum link_status cluster_call(struct redis_cluster *cluster, int argc, const char **argv,
                                            const size_t *lens, redisReply **out, bool *was_asked)
{
    struct redis_link *link = link_of(cluster, argv[1], lens[1]);
    *was_asked = false;
    for (unsigned redirects = 0;; redirects++) {
        enum link_status status = link_call(link, *was_asked, argc, argv, lens, out);
        if (status != LINK_OK || (*out)->type != REDIS_REPLY_ERROR)
            return status;
        *was_asked = strncmp((*out)->str, "ASK ", 4) == 0;
        if ((!*was_asked && strncmp((*out)->str, "MOVED ", 6) != 0) || redirects == REDIRECTS_MAX)
            return LINK_OK;
        struct redis_link *next = follow(cluster, (*out)->str, link);
        if (next == NULL)
            return LINK_OK;
        freeReplyObject(*out);
        link = next;
        wait_until_up(link, ms_now() + cluster->timeout_ms);
    }
}

/* The first node is the one whose address is given. */
static inline void cluster_start(struct redis_cluster *cluster, const char *host, int port, uint64_t timeout_ms,
                                 const struct link_events *events, void (*on_moved)(void *ctx))
{
    cluster->timeout_ms = timeout_ms;
    cluster->events = *events;
    cluster->on_moved = on_moved;
    pthread_mutex_init(&cluster->lock, NULL);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        atomic_init(&cluster->owners[slot], NO_NODE);
    pthread_mutex_lock(&cluster->lock);
    node_for(cluster, host, port);
    pthread_mutex_unlock(&cluster->lock);
}

/* No other thread calls any more. A link that still runs may add a node, which is then the last one. */
static inline void cluster_stop(struct redis_cluster *cluster)
{
    for (unsigned i = 0; i < atomic_load(&cluster->count); i++)
        link_stop(node_at(cluster, i));
    for (unsigned i = 0; i < atomic_load(&cluster->count); i++)
        link_free(node_at(cluster, i));
    pthread_mutex_destroy(&cluster->lock);
}

#endif
