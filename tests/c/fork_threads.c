/* fork_threads.c: a process forks while its threads are inside calls. The child attaches to its copy of the cache, and
 * the parent continues. Every wait is bounded: a child that hangs is killed by its alarm. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REGION_SIZE = 1 << 20, WRITERS = 2, KEYS = 500, LEN_MAX = 6000, CHILD_SECONDS = 60 };

static union {
    unsigned char bytes[REGION_SIZE];
    uint64_t aligned;
} memory[2];

static unsigned char *the_region;
static larder_cache *the_cache;

/* ---- a lock that another thread certainly holds ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int is_inside, may_leave;

/* Called under the lock of the shard that the scan visits. */
static int32_t stay_inside(void *ctx, const larder_item_info *item)
{
    (void)ctx;
    (void)item;
    pthread_mutex_lock(&mutex);
    is_inside = 1;
    pthread_cond_broadcast(&changed);
    while (!may_leave)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    return 1;
}

static void *scan(void *ctx)
{
    larder_cursor cursor = {0};
    *(larder_status *)ctx = larder_cache_scan(the_cache, &cursor, stay_inside, NULL);
    return NULL;
}

/* ---- the host's lock ---- */

static pthread_mutex_t host_mutex = PTHREAD_MUTEX_INITIALIZER;

static int32_t lock_host(void *ctx)
{
    return pthread_mutex_lock((pthread_mutex_t *)ctx);
}

static void unlock_host(void *ctx)
{
    pthread_mutex_unlock((pthread_mutex_t *)ctx);
}

static int32_t try_lock_host(void *ctx)
{
    return pthread_mutex_trylock((pthread_mutex_t *)ctx);
}

static larder_cache_config with_host_lock(larder_cache_config config)
{
    config.lock = lock_host;
    config.unlock = unlock_host;
    config.try_lock = try_lock_host;
    config.lock_ctx = &host_mutex;
    return config;
}

/* ---- values that show whether they are whole ---- */

static size_t make_value(uint32_t key, uint32_t version, unsigned char *value)
{
    size_t len = 8 + (key * 37 + version * 101) % (LEN_MAX - 8);
    memset(value, (int)(key ^ version), len);
    memcpy(value, &key, sizeof key);
    memcpy(value + 4, &version, sizeof version);
    return len;
}

static int value_is_whole(uint32_t key, const unsigned char *value, size_t len)
{
    static unsigned char want[LEN_MAX];
    uint32_t version;
    memcpy(&version, value + 4, sizeof version);
    return len >= 8 && make_value(key, version, want) == len && memcmp(want, value, len) == 0;
}

static int stop;

static void *write_until_stopped(void *ctx)
{
    unsigned char value[LEN_MAX];
    uint64_t random = (uint64_t)(uintptr_t)ctx + 1;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        uint32_t key = (uint32_t)(next_random(&random) >> 32) % KEYS;
        size_t len = make_value(key, (uint32_t)random, value);
        if (larder_cache_set(the_cache, &key, sizeof key, value, len, 0) != LARDER_OK)
            break;
    }
    return NULL;
}

/* ---- children: they answer by their exit code ---- */

enum { CHILD_OK, LOCK_IS_FREE, ATTACH_FAILED, NOTHING_THERE, VALUE_IS_TORN, CALL_FAILED };

static int child_uses_cache(const larder_cache_config *config)
{
    static unsigned char value[LEN_MAX];
    larder_attach_report report;
    if (config->lock_ctx && pthread_mutex_init(&host_mutex, NULL) != 0)
        return CALL_FAILED;
    if (larder_cache_attach(the_region, REGION_SIZE, config, &the_cache, &report) != LARDER_OK)
        return ATTACH_FAILED;
    if (report.items_recovered == 0 || larder_cache_item_count(the_cache) != report.items_recovered)
        return NOTHING_THERE;
    for (uint32_t key = 0; key < KEYS; key++) {
        size_t len = 0;
        larder_status status = larder_cache_get(the_cache, &key, sizeof key, value, sizeof value, &len);
        if (status == LARDER_OK && !value_is_whole(key, value, len))
            return VALUE_IS_TORN;
        if (status != LARDER_OK && status != LARDER_NOT_FOUND)
            return CALL_FAILED;
    }
    if (larder_cache_set(the_cache, "the child's", 11, "own", 3, 0) != LARDER_OK)
        return CALL_FAILED;
    return larder_cache_check(the_cache) == LARDER_OK ? CHILD_OK : CALL_FAILED;
}

static void expect_child_ok(pid_t child)
{
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_OK);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_OK)
        fprintf(stderr, "child: status %#x\n", (unsigned)status);
}

static void fork_while_a_lock_is_held(const larder_cache_config *config)
{
    unsigned char value[LEN_MAX];
    pthread_t thread;
    larder_status status = LARDER_OK;
    uint32_t key = 7;
    set_context("fork", "a lock is held");
    CHECK_STATUS(larder_cache_init(the_region, REGION_SIZE, config, &the_cache), LARDER_OK);
    size_t len = make_value(key, 1, value);
    CHECK_STATUS(larder_cache_set(the_cache, &key, sizeof key, value, len, 0), LARDER_OK);
    is_inside = may_leave = 0;
    CHECK(pthread_create(&thread, NULL, scan, &status) == 0);
    pthread_mutex_lock(&mutex);
    while (!is_inside)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);

    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS);
        /* The call that does not wait shows that the other calls would wait without end. */
        if (larder_cache_try_get(the_cache, &key, sizeof key, value, sizeof value, &len) != LARDER_BUSY)
            _exit(LOCK_IS_FREE);
        _exit(child_uses_cache(config));
    }
    expect_child_ok(child);
    pthread_mutex_lock(&mutex);
    may_leave = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_STATUS(status, LARDER_AGAIN);
    CHECK_STATUS(larder_cache_contains(the_cache, &key, sizeof key), LARDER_OK);
    CHECK_STATUS(larder_cache_contains(the_cache, "the child's", 11), LARDER_NOT_FOUND);
}

static void fork_while_threads_write(const larder_cache_config *config)
{
    pthread_t threads[WRITERS];
    set_context("fork", "threads write");
    CHECK_STATUS(larder_cache_init(the_region, REGION_SIZE, config, &the_cache), LARDER_OK);
    stop = 0;
    for (uintptr_t i = 0; i < WRITERS; i++)
        CHECK(pthread_create(&threads[i], NULL, write_until_stopped, (void *)i) == 0);
    for (int i = 0; i < 100000 && larder_cache_item_count(the_cache) < 10; i++)
        usleep(100);
    for (int round = check_rounds(50, 5); round > 0; round--) {
        usleep((useconds_t)(round * 37 % 100));
        pid_t child = fork();
        if (child == 0) {
            alarm(CHILD_SECONDS);
            _exit(child_uses_cache(config));
        }
        expect_child_ok(child);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < WRITERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK_STATUS(larder_cache_check(the_cache), LARDER_OK);
    CHECK_STATUS(larder_cache_contains(the_cache, "the child's", 11), LARDER_NOT_FOUND);
}

int main(int argc, char **argv)
{
    larder_cache_config config = LARDER_CACHE_CONFIG_INIT, hooks;
    check_begin(argc, argv);
    the_region = memory[0].bytes + (LARDER_ALIGN - (uintptr_t)memory[0].bytes % LARDER_ALIGN) % LARDER_ALIGN;
    config.memory_limit = REGION_SIZE * 3 / 4;
    hooks = with_host_lock(config);
    fork_while_a_lock_is_held(&config);
    fork_while_a_lock_is_held(&hooks);
    fork_while_threads_write(&config);
    fork_while_threads_write(&hooks);
    config.shards = 4;
    config.flags = LARDER_CHECKSUM;
    fork_while_threads_write(&config);
    return check_end("fork_threads");
}
