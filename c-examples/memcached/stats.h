/* stats.h: the answers to `stats`, by memcached's names. What larder has no number for is left out. */
#ifndef MEMCACHED_STATS_H
#define MEMCACHED_STATS_H

#include "items.h"

#include <inttypes.h>
#include <stdarg.h>
#include <sys/resource.h>

/* What does not fit is left out; a worker empties the buffer before. */
static void stat_text(struct conn *conn, const char *name, const char *format, ...)
{
    char line[256];
    va_list arguments;
    int start = snprintf(line, sizeof line, "STAT %s ", name);
    va_start(arguments, format);
    vsnprintf(line + start, sizeof line - (size_t)start, format, arguments);
    va_end(arguments);
    if (OUT_SIZE - conn->out_end > strlen(line) + 2 + REPLY_MAX)
        reply(conn, false, line);
}

static void stat_number(struct conn *conn, const char *name, uint64_t number)
{
    stat_text(conn, name, "%" PRIu64, number);
}

static void stat_processor(struct conn *conn)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    stat_text(conn, "rusage_user", "%ld.%06ld", (long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec);
    stat_text(conn, "rusage_system", "%ld.%06ld", (long)usage.ru_stime.tv_sec, (long)usage.ru_stime.tv_usec);
}

static larder_cache_stats_t cache_stats(void)
{
    larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
    larder_cache_stats(server.cache, &stats);
    return stats;
}

/* memcached's bytes: keys, values and what each item takes besides. */
static uint64_t item_bytes(void)
{
    uint64_t bytes = 0;
    for (uint32_t owner = LARDER_OWNER_WINDOW; owner <= LARDER_OWNER_MAIN; owner++) {
        larder_class_stats stats = LARDER_CLASS_STATS_INIT;
        if (larder_cache_class_stats(server.cache, owner, &stats) == LARDER_OK)
            bytes += stats.live_bytes;
    }
    return bytes;
}

/* What there is in memcached alone: here it has happened 0 times. */
static const char *const NEVER[] = {
    "auth_cmds", "auth_errors", "listen_disabled_num", "time_in_listen_disabled_us",
    "response_obj_oom", "slab_reassign_rescues", "slab_reassign_evictions_nomem", "slab_reassign_busy_items",
    "slab_reassign_running", "slabs_moved", "lru_crawler_running", "lru_crawler_starts", "malloc_fails",
    "log_watchers", "crawler_reclaimed", "crawler_items_checked", "lrutail_reflocked", "direct_reclaims",
};

static void stats_general(struct conn *conn)
{
    larder_cache_stats_t stats = cache_stats();
    time_t now = time(NULL);
    stat_number(conn, "pid", (uint64_t)getpid());
    stat_number(conn, "uptime", (uint64_t)(now - server.started));
    stat_number(conn, "time", (uint64_t)now);
    stat_text(conn, "version", "%s", SERVER_VERSION);
    stat_text(conn, "larder", "%s", larder_version_string());
    stat_number(conn, "pointer_size", 8 * sizeof(void *));
    stat_processor(conn);
    stat_number(conn, "max_connections", server.settings.connections);
    stat_number(conn, "curr_connections", atomic_load(&server.conns_now));
    stat_number(conn, "total_connections", atomic_load(&server.conns_total));
    stat_number(conn, "rejected_connections", atomic_load(&server.conns_rejected));
    stat_number(conn, "connection_structures", server.settings.connections);
#define X(name) stat_number(conn, #name, counted(COUNT_##name));
    COUNTERS(X)
#undef X
    stat_number(conn, "limit_maxbytes", stats.limit_bytes);
    stat_number(conn, "accepting_conns", 1);
    stat_number(conn, "threads", server.settings.threads);
    stat_number(conn, "bytes", item_bytes());
    stat_number(conn, "curr_items", stats.item_count);
    stat_number(conn, "evictions", stats.evictions - atomic_load(&server.evictions_baseline));
    stat_number(conn, "reclaimed", stats.expirations);
    stat_number(conn, "get_expired", stats.misses_expired);
    stat_number(conn, "evicted_unfetched", stats.evicted_unread);
    stat_number(conn, "expired_unfetched", stats.expired_unread);
    stat_number(conn, "hash_bytes", stats.overhead_bytes);
    stat_number(conn, "hash_is_expanding", 0);
    for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
        stat_number(conn, NEVER[i], 0);
}

static void stats_settings(struct conn *conn)
{
    const struct settings *settings = &server.settings;
    stat_number(conn, "maxbytes", settings->memory);
    stat_number(conn, "maxconns", settings->connections);
    stat_number(conn, "tcpport", settings->port);
    stat_number(conn, "udpport", 0);
    stat_text(conn, "inter", "%s", settings->listen != NULL ? settings->listen : "NULL");
    stat_number(conn, "verbosity", atomic_load(&server.settings.verbosity));
    stat_text(conn, "evictions", "%s", settings->no_evict ? "off" : "on");
    stat_text(conn, "domain_socket", "%s", settings->socket_path != NULL ? settings->socket_path : "NULL");
    stat_number(conn, "num_threads", settings->threads);
    stat_text(conn, "cas_enabled", "yes");
    stat_number(conn, "tcp_backlog", settings->backlog);
    stat_text(conn, "binding_protocol", "ascii");
    stat_text(conn, "auth_enabled_sasl", "no");
    stat_text(conn, "shutdown_command", "no");
    stat_number(conn, "item_size_max", settings->item_size_max);
    stat_text(conn, "maxconns_fast", "yes");
    stat_number(conn, "hashpower_init", settings->hashpower);
    stat_text(conn, "flush_enabled", "%s", settings->no_flush ? "no" : "yes");
    stat_number(conn, "idle_timeout", settings->idle_seconds);
}

/* larder has no classes of sizes: all items are class 1. */
static void stats_items(struct conn *conn)
{
    larder_cache_stats_t stats = cache_stats();
    if (stats.item_count == 0)
        return;
    stat_number(conn, "items:1:number", stats.item_count);
    stat_number(conn, "items:1:mem_requested", item_bytes());
    stat_number(conn, "items:1:evicted", stats.evictions - atomic_load(&server.evictions_baseline));
    stat_number(conn, "items:1:evicted_unfetched", stats.evicted_unread);
    stat_number(conn, "items:1:expired_unfetched", stats.expired_unread);
    stat_number(conn, "items:1:outofmemory", stats.failed_no_memory);
    stat_number(conn, "items:1:reclaimed", stats.expirations);
}

static void stats_slabs(struct conn *conn)
{
    larder_cache_stats_t stats = cache_stats();
    stat_number(conn, "1:chunk_size", stats.page_size);
    stat_number(conn, "1:chunks_per_page", 1);
    stat_number(conn, "1:total_pages", stats.page_count);
    stat_number(conn, "1:total_chunks", stats.page_count);
    stat_number(conn, "1:used_chunks", stats.page_count - stats.pages_free);
    stat_number(conn, "1:free_chunks", stats.pages_free);
    stat_number(conn, "1:get_hits", counted(COUNT_get_hits));
    stat_number(conn, "1:cmd_set", counted(COUNT_cmd_set));
    stat_number(conn, "1:delete_hits", counted(COUNT_delete_hits));
    stat_number(conn, "1:incr_hits", counted(COUNT_incr_hits));
    stat_number(conn, "1:decr_hits", counted(COUNT_decr_hits));
    stat_number(conn, "1:cas_hits", counted(COUNT_cas_hits));
    stat_number(conn, "1:cas_badval", counted(COUNT_cas_badval));
    stat_number(conn, "1:touch_hits", counted(COUNT_touch_hits));
    stat_number(conn, "active_slabs", 1);
    stat_number(conn, "total_malloced", stats.total_allocated);
}

static void stats_conns(struct conn *conn)
{
    for (uint64_t i = 0; i < server.settings.connections; i++) {
        const struct conn *other = &server.conns[i];
        char name[48];
        if (atomic_load(&other->owner) == NULL)
            continue;
        snprintf(name, sizeof name, "%" PRIu64 ":worker", i);
        stat_number(conn, name, (uint64_t)(atomic_load(&other->owner) - server.workers));
    }
}

/* Keys of items, as many as fit: `stats cachedump 1 LIMIT`. 0 = no limit. */
struct dump {
    struct conn *conn;
    uint32_t limit, count;
};

static int32_t dump_item(void *ctx, const larder_item_info *item)
{
    struct dump *dump = ctx;
    char line[KEY_LEN_MAX + 80];
    uint64_t second = item->ttl_ms == LARDER_TTL_NEVER ? 0 : (uint64_t)time(NULL) + item->ttl_ms / 1000;
    if ((dump->limit != 0 && dump->count >= dump->limit) || OUT_SIZE - dump->conn->out_end < sizeof line + REPLY_MAX)
        return 1;
    snprintf(line, sizeof line, "ITEM %.*s [%zu b; %" PRIu64 " s]", (int)item->key_len, (const char *)item->key,
             item->value_len, second);
    reply(dump->conn, false, line);
    dump->count++;
    return 0;
}

static void stats_cachedump(struct conn *conn, const struct words *words)
{
    struct dump dump = { .conn = conn };
    larder_cursor cursor = { 0 };
    uint32_t class_index;
    if (words->count < 4) {
        reply(conn, false, "CLIENT_ERROR bad command line");
        return;
    }
    if (!word_u32(&words->word[2], 0, &class_index) || !word_u32(&words->word[3], 0, &dump.limit)) {
        reply(conn, false, "CLIENT_ERROR bad command line format");
        return;
    }
    if (class_index == 1)
        larder_cache_scan(server.cache, &cursor, dump_item, &dump);
    reply(conn, false, "END");
}

static void stats_reset(void)
{
    for (unsigned i = 0; i < COUNTER_MAX; i++)
        atomic_store(&server.baseline[i], counted_ever((enum counter)i));
    atomic_store(&server.evictions_baseline, cache_stats().evictions);
}

static void run_stats(struct conn *conn, const struct words *words)
{
    static const struct {
        const char *name;
        void (*print)(struct conn *);
    } known[] = { { "settings", stats_settings }, { "items", stats_items }, { "slabs", stats_slabs },
                  { "conns", stats_conns } };
    if (words->count == 1) {
        stats_general(conn);
        reply(conn, false, "END");
        return;
    }
    if (word_is(&words->word[1], "reset")) {
        stats_reset();
        reply(conn, false, "RESET");
        return;
    }
    if (word_is(&words->word[1], "cachedump")) {
        stats_cachedump(conn, words);
        return;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (word_is(&words->word[1], known[i].name)) {
            known[i].print(conn);
            reply(conn, false, "END");
            return;
        }
    }
    reply(conn, false, "ERROR");
}

#endif
