/* near_commands.h: commands to a near-cache, a line each from stdin, and an answer of one line to each. */
#ifndef NEAR_COMMANDS_H
#define NEAR_COMMANDS_H

#include "near.h"

#define STAMPEDE_MAX 1000
#define LEASE_OF_BEGIN_MS 60000
#define LINE_SIZE (NEAR_VALUE_MAX + 1024)

static const char commands_help[] =
    "  get KEY             'hit VALUE', 'fetched VALUE' or 'stale VALUE (REASON)', where VALUE is '= text' or\n"
    "                      'absent'; or 'failed REASON'\n"
    "  set KEY TEXT        'ok' or 'failed REASON'\n"
    "  del KEY             the same\n"
    "  begin KEY           takes a lease and asks Redis; 'fetched VALUE' or 'failed REASON'\n"
    "  end                 fills what `begin` read: 'kept' or 'refused'\n"
    "  stampede N KEY      N threads get the key at once; counts of answers\n"
    "  stat                counters of cache and links\n"
    "  quit\n";

/* What `begin` has read, for `end`. */
struct begun {
    larder_lease lease;
    bool is_open;
    char key[NEAR_KEY_MAX + 1];
    struct near_value value;
};

struct stampede {
    pthread_t thread;
    struct near *near;
    const char *key;
    pthread_barrier_t *start;
    enum near_answer answer;
    char reason[REASON_MAX];
};

static inline void say_value(const char *how, const struct near_value *value)
{
    if (value_is_absent(value))
        printf("%s absent", how);
    else
        printf("%s = %.*s", how, (int)(value->len - NEAR_HEAD), value_text(value));
}

static inline void command_get(struct near *near, const char *key, struct near_value *value)
{
    switch (near_get(near, key, strlen(key), value)) {
    case NEAR_HIT: say_value("hit", value); break;
    case NEAR_FETCHED: say_value("fetched", value); break;
    case NEAR_STALE:
        say_value("stale", value);
        printf(" (%s)", value->reason);
        break;
    case NEAR_FAILED: printf("failed %s", value->reason); break;
    }
    putchar('\n');
}

static inline void say_written(const char *reason)
{
    if (reason == NULL)
        puts("ok");
    else
        printf("failed %s\n", reason);
}

/* The two halves of a get that fetches, so that something can happen between them. */
static inline void command_begin(struct near *near, const char *key, struct begun *begun)
{
    larder_status status = larder_cache_lease(near->cache, key, strlen(key), LEASE_OF_BEGIN_MS, &begun->lease);
    if (status != LARDER_OK) {
        printf("failed no lease: %s\n", larder_strerror(status));
        return;
    }
    const char *reason = near_ask(near, key, strlen(key), &begun->value);
    snprintf(begun->key, sizeof begun->key, "%s", key);
    begun->is_open = reason == NULL;
    if (begun->is_open) {
        say_value("fetched", &begun->value);
        putchar('\n');
    } else {
        larder_cache_delete(near->cache, key, strlen(key));
        printf("failed %s\n", reason);
    }
}

static inline void command_end(struct near *near, struct begun *begun)
{
    if (!begun->is_open)
        puts("failed nothing was begun");
    else
        puts(near_fill(near, begun->key, strlen(begun->key), &begun->lease, &begun->value) ? "kept" : "refused");
    begun->is_open = false;
}

static inline void *stampede_run(void *ctx)
{
    struct stampede *one = ctx;
    struct near_value *value = malloc(sizeof *value);
    require(value != NULL, "there is memory for a value");
    pthread_barrier_wait(one->start);
    one->answer = near_get(one->near, one->key, strlen(one->key), value);
    if (one->answer == NEAR_FAILED)
        memcpy(one->reason, value->reason, REASON_MAX);
    free(value);
    return NULL;
}

static inline void command_stampede(struct near *near, unsigned count, const char *key)
{
    static struct stampede all[STAMPEDE_MAX];
    pthread_barrier_t start;
    unsigned answers[NEAR_FAILED + 1] = { 0 };
    const char *reason = "";
    pthread_barrier_init(&start, NULL, count);
    for (unsigned i = 0; i < count; i++) {
        all[i] = (struct stampede){ .near = near, .key = key, .start = &start };
        require(pthread_create(&all[i].thread, NULL, stampede_run, &all[i]) == 0, "a thread starts");
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(all[i].thread, NULL);
        answers[all[i].answer]++;
        if (all[i].answer == NEAR_FAILED)
            reason = all[i].reason;
    }
    pthread_barrier_destroy(&start);
    printf("threads=%u hit=%u fetched=%u stale=%u failed=%u%s%s\n", count, answers[NEAR_HIT], answers[NEAR_FETCHED],
           answers[NEAR_STALE], answers[NEAR_FAILED], *reason != '\0' ? " " : "", reason);
}

static inline void command_stat(struct near *near)
{
    const struct near_counters *counters = &near->counters;
    unsigned nodes = atomic_load(&near->redis.count), up = 0;
    for (unsigned i = 0; i < nodes; i++)
        up += atomic_load(&node_at(&near->redis, i)->epoch) != 0;
    printf("items=%" PRIu64 " hits=%" PRIuFAST64 " fetches=%" PRIuFAST64 " stale=%" PRIuFAST64 " failed=%" PRIuFAST64
           " invalidations=%" PRIuFAST64 " clears=%" PRIuFAST64 " refused=%" PRIuFAST64 " moved=%" PRIuFAST64
           " asked=%" PRIuFAST64 " nodes=%u up=%u\n",
           larder_cache_item_count(near->cache), atomic_load(&counters->hits), atomic_load(&counters->fetches),
           atomic_load(&counters->stale), atomic_load(&counters->failed), atomic_load(&counters->invalidations),
           atomic_load(&counters->clears), atomic_load(&counters->refused), atomic_load(&near->redis.moved),
           atomic_load(&near->redis.asked), nodes, up);
}

/* One line, whose words are cut apart here. False for `quit`. */
static inline bool run_command(struct near *near, char *line, struct begun *begun, struct near_value *value)
{
    char *rest, reason[REASON_MAX];
    const char *verb = strtok_r(line, " ", &rest);
    if (verb == NULL || strcmp(verb, "quit") == 0)
        return false;
    bool is_stampede = strcmp(verb, "stampede") == 0;
    const char *number = is_stampede ? strtok_r(NULL, " ", &rest) : NULL;
    const char *key = strtok_r(NULL, " ", &rest);
    uint64_t count = 0;
    if (strcmp(verb, "stat") == 0)
        command_stat(near);
    else if (strcmp(verb, "end") == 0)
        command_end(near, begun);
    else if (key == NULL || strlen(key) > NEAR_KEY_MAX)
        puts("failed a command takes a key of 1 to 255 bytes");
    else if (strcmp(verb, "get") == 0)
        command_get(near, key, value);
    else if (strcmp(verb, "set") == 0)
        say_written(near_set(near, key, strlen(key), rest, strlen(rest), reason));
    else if (strcmp(verb, "del") == 0)
        say_written(near_delete(near, key, strlen(key), reason));
    else if (strcmp(verb, "begin") == 0)
        command_begin(near, key, begun);
    else if (!is_stampede)
        puts("failed there is no such command; near_cache --help lists them");
    else if (number == NULL || !parse_size(number, 1, STAMPEDE_MAX, &count))
        puts("failed stampede takes a number from 1 to 1000 and a key");
    else
        command_stampede(near, (unsigned)count, key);
    return true;
}

static inline void run_commands(struct near *near)
{
    struct near_value *value = malloc(sizeof *value);
    struct begun *begun = calloc(1, sizeof *begun);
    char *line = malloc(LINE_SIZE);
    require(value != NULL && begun != NULL && line != NULL, "there is memory for commands");
    bool goes_on = true;
    while (goes_on && fgets(line, LINE_SIZE, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        goes_on = run_command(near, line, begun, value);
        fflush(stdout);
    }
    free(line);
    free(begun);
    free(value);
}

#endif
