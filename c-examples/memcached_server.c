/* memcached_server.c: memcached's text protocol and meta commands over a larder cache, for clients of memcached.
 *
 * Build:  cc -std=c11 c-examples/memcached_server.c -Iinclude target/lib/liblarder.a -lpthread -lm
 * Usage:  memcached_server --help     the options are memcached's: -p -l -s -m -t -c -I -M -F -b -u -v -o
 *
 * The parts, in c-examples/memcached/:
 *    words.h    words of a line, numbers, base64
 *    server.h   settings, workers, connections, buffers
 *    items.h    items in the cache: flags in the tag, cas in the version
 *    classic.h  get, set and the other whole words
 *    meta.h     mg, ms, md, ma, me, mn
 *    stats.h    stats
 *    serve.h    a connection's life, and a worker's
 *    options.h  the command line
 *
 * All memory is one region, taken at the start. The main thread accepts connections and deals them out to workers; each
 * worker serves its connections by epoll. docs/memcached.md compares it with memcached. */
#define _GNU_SOURCE /* accept4, MAP_NORESERVE */

#include "memcached/options.h"
#include "memcached/serve.h"

#include <grp.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CACHE_LINE 64
#define SHARDS_MAX 16
#define SPOOL_VALUES 8 /* of the largest size, on their way in and out at a time */
#define SPOOL_MIN (8 * MEGABYTE)
#define FILES_BESIDES 32 /* files that are no connections */
#define ACCEPT_MS 200

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "memcached_server: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* ---- memory ---- */

static void *take(larder_arena *arena, size_t size)
{
    void *memory = NULL;
    must(larder_arena_alloc(arena, size, CACHE_LINE, &memory), "larder_arena_alloc");
    require(memory != NULL, "an arena gives memory");
    return memory;
}

static size_t scratch_size(void)
{
    return (size_t)server.settings.item_size_max * 2 + 4 * MARGIN;
}

static size_t spool_size(void)
{
    uint64_t size = SPOOL_VALUES * (server.settings.item_size_max + server.settings.item_size_max / 8);
    return (size_t)(size < SPOOL_MIN ? SPOOL_MIN : size);
}

static uint64_t cache_clock(void *ctx)
{
    (void)ctx;
    return now_ms();
}

/* Each shard keeps some free pages of its own, so one thread has one shard, and several have two each. */
static uint32_t shards_for(uint64_t threads)
{
    uint32_t shards = 1;
    while (threads > 1 && shards < 2 * threads && shards < SHARDS_MAX)
        shards *= 2;
    return shards;
}

/* As many shards as the threads want, or fewer, so that the largest item fits in one. Without -I the largest item is
 * what fits. */
static void make_cache(void *memory)
{
    struct settings *settings = &server.settings;
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT;
    larder_cache_limits_t limits = LARDER_CACHE_LIMITS_INIT;
    config.flags = LARDER_ITEM_TAGS | LARDER_ITEM_VERSIONS;
    config.now_ms = cache_clock;
    if (getrandom(&config.hash_seed, sizeof config.hash_seed, 0) != sizeof config.hash_seed)
        die("a random seed");
    config.expected_items = settings->hashpower != 0 ? UINT64_C(1) << settings->hashpower : 0;
    for (config.shards = shards_for(settings->threads); config.shards > 0; config.shards /= 2) {
        if (larder_cache_init(memory, (size_t)settings->memory, &config, &server.cache) == LARDER_OK &&
            larder_cache_limits(server.cache, &limits) == LARDER_OK && limits.key_len_max >= KEY_LEN_MAX &&
            limits.value_len_max >= settings->item_size_max)
            return;
    }
    if (!settings->has_item_size_max && limits.value_len_max > 0) {
        settings->item_size_max = limits.value_len_max;
        return;
    }
    fprintf(stderr, "memcached_server: -I is above what -m allows: at most %" PRIu64 " bytes\n", limits.value_len_max);
    exit(EXIT_USAGE);
}

static void make_conns(larder_arena *arena)
{
    uint64_t count = server.settings.connections;
    struct conn *conns = take(arena, count * sizeof *conns);
    for (uint64_t i = count; i-- > 0;) {
        struct conn *conn = &conns[i];
        conn->in = (char *)take(arena, MARGIN + IN_SIZE) + MARGIN;
        conn->out = take(arena, OUT_SIZE);
        conn->next_free = server.free_conn;
        server.free_conn = conn;
    }
    server.conns = conns;
}

/* Pages that are not used yet take no memory: the system gives them as they are touched, all of them zero. */
static void make_memory(void)
{
    const struct settings *settings = &server.settings;
    size_t size = (size_t)settings->memory + spool_size() + MEGABYTE +
                  (size_t)settings->threads * (sizeof(struct worker) + scratch_size() + 128) +
                  (size_t)settings->connections * (sizeof(struct conn) + MARGIN + IN_SIZE + OUT_SIZE + 256);
    void *region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    larder_arena *arena;
    larder_pool_config spool = LARDER_POOL_CONFIG_INIT;
    if (region == MAP_FAILED)
        die("memory");
    must(larder_arena_init(region, size, &arena), "larder_arena_init");
    make_cache(take(arena, (size_t)settings->memory));
    spool.flags = LARDER_KEEP_ON_FREE;
    must(larder_pool_init(take(arena, spool_size()), spool_size(), &spool, &server.spool), "larder_pool_init");
    struct worker *workers = take(arena, settings->threads * sizeof *workers);
    for (uint64_t i = 0; i < settings->threads; i++)
        workers[i].scratch = take(arena, scratch_size());
    server.workers = workers;
    make_conns(arena);
}

/* ---- the listening socket ---- */

static int listen_at_path(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat status;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof address.sun_path)
        refuse("-s %s is too long", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
        unlink(path);
    mode_t mask = umask(077);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die(path);
    umask(mask);
    return fd;
}

static int listen_at_port(const char *host, uint64_t port)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    char text[8];
    int on = 1, fd = -1;
    snprintf(text, sizeof text, "%u", (unsigned)port);
    int error = getaddrinfo(host, text, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "memcached_server: -l %s: %s\n", host, gai_strerror(error));
        exit(EXIT_USAGE);
    }
    for (struct addrinfo *each = found; each != NULL && fd < 0; each = each->ai_next) {
        fd = socket(each->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd >= 0)
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (fd >= 0 && bind(fd, each->ai_addr, each->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        die("failed to listen");
    return fd;
}

static const struct passwd *find_user(const char *name)
{
    const struct passwd *user = getpwnam(name);
    if (user == NULL)
        refuse("-u: there is no user '%s'", name);
    return user;
}

/* Root alone can become another user. */
static void become(const struct passwd *user)
{
    if (geteuid() != 0)
        return;
    if (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)
        die("failed to become the user of -u");
}

/* ---- accepting ---- */

static struct conn *free_conn(void)
{
    pthread_mutex_lock(&server.free_lock);
    struct conn *conn = server.free_conn;
    if (conn != NULL)
        server.free_conn = conn->next_free;
    pthread_mutex_unlock(&server.free_lock);
    return conn;
}

/* Refuses a connection above the limit, with an error line. */
static void reject(int fd)
{
    static const char text[] = "ERROR Too many open connections\r\n";
    atomic_fetch_add(&server.conns_rejected, 1);
    if (write(fd, text, sizeof text - 1) < 0)
        errno = 0;
    close(fd);
}

static void open_conn(int fd, struct worker *worker)
{
    int on = 1;
    struct conn *conn = free_conn();
    if (conn == NULL) {
        reject(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    conn->fd = fd;
    conn->state = READ_LINE;
    conn->is_closing = conn->waits_to_write = conn->has_block = conn->block_is_output = false;
    conn->in_start = conn->in_end = conn->out_start = conn->out_end = 0;
    conn->used_ms = conn->busy_since_ms = now_ms();
    atomic_fetch_add(&server.conns_now, 1);
    atomic_fetch_add(&server.conns_total, 1);
    if (atomic_load(&server.settings.verbosity) > 0)
        fprintf(stderr, "<%d new client connection\n", fd);
    atomic_store_explicit(&conn->owner, worker, memory_order_release);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
    if (epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        close_conn(conn);
}

static void accept_all(void)
{
    uint64_t next = 0;
    struct pollfd ready = { .fd = server.listener, .events = POLLIN };
    while (!atomic_load(&server.stopping)) {
        if (poll(&ready, 1, ACCEPT_MS) <= 0)
            continue;
        int fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            open_conn(fd, &server.workers[next++ % server.settings.threads]);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            usleep(ACCEPT_MS * 1000 / 10);
    }
}

/* ---- start and end ---- */

static void note_end(int signal)
{
    (void)signal;
    atomic_store(&server.stopping, 1);
}

static void set_signals(void)
{
    struct sigaction action = { .sa_handler = note_end };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

static void raise_files_max(void)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)server.settings.connections + FILES_BESIDES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted)
        limit.rlim_max = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("-c is above the number of files that may be open");
}

static void start_workers(struct worker *workers)
{
    for (uint64_t i = 0; i < server.settings.threads; i++) {
        struct worker *worker = &workers[i];
        worker->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (worker->epoll < 0 || pthread_create(&worker->thread, NULL, work, worker) != 0)
            die("failed to start a worker");
    }
}

int main(int argc, char **argv)
{
    struct settings *settings = &server.settings;
    read_options(argc, argv, settings);
    const struct passwd *user = settings->user != NULL ? find_user(settings->user) : NULL;
    renew_clock();
    server.started = time(NULL);
    set_signals();
    raise_files_max();
    make_memory();
    if (settings->socket_path != NULL)
        server.listener = listen_at_path(settings->socket_path);
    else
        server.listener = listen_at_port(settings->listen != NULL ? settings->listen : "127.0.0.1", settings->port);
    if (user != NULL)
        become(user);
    struct worker *workers = server.workers;
    require(workers != NULL, "there is memory for workers");
    start_workers(workers);
    if (listen(server.listener, (int)settings->backlog) != 0)
        die("failed to listen");
    accept_all();
    for (uint64_t i = 0; i < settings->threads; i++)
        pthread_join(workers[i].thread, NULL);
    if (settings->socket_path != NULL)
        unlink(settings->socket_path);
    return EXIT_SUCCESS;
}
