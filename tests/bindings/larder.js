// larder from Node, by koffi 3. usage: node larder.js PATH_OF_liblarder.so
const assert = require('node:assert');
const koffi = require('koffi');

const OK = 0, NOT_FOUND = -1, SIZE = 1 << 20;

// larder_cache_stats_t of larder.h
const fields = (type, names) => names.trim().split(/\s+/).map((name) => [name, type]);
koffi.struct('larder_cache_stats_t', Object.fromEntries([
    ...fields('uint32_t', 'struct_size abi_version'),
    ...fields('uint64_t', `item_count hits misses sets updates deletes evictions expirations
        failed_no_memory failed_too_large failed_exists failed_type_mismatch failed_buffer_too_small failed_busy
        region_bytes limit_bytes payload_bytes free_bytes overhead_bytes total_allocated total_used peak_used
        pool_reuses arena_allocs reclaim_passes items_moved index_rebuilds index_splits`),
    ...fields('uint32_t', 'memory_pressure page_size page_count pages_free shards policy views reservations'),
    ...fields('uint64_t', 'failed_corrupt dead_bytes'),
]));

const lib = koffi.load(process.argv[2]);
const init = lib.func('int larder_cache_init(void *memory, size_t size, void *config, _Out_ void **out)');
const set = lib.func('int larder_cache_set(void *cache, void *key, size_t key_len, void *value, size_t value_len, ' +
    'uint64_t ttl_ms)');
const get = lib.func('int larder_cache_get(void *cache, void *key, size_t key_len, void *buffer, size_t capacity, ' +
    '_Out_ size_t *len)');
const remove = lib.func('int larder_cache_delete(void *cache, void *key, size_t key_len)');
const readStats = lib.func('int larder_cache_stats(void *cache, _Inout_ larder_cache_stats_t *out)');

// The region is from malloc, which aligns to LARDER_ALIGN. Only larder uses it while the cache is used.
const region = koffi.alloc('uint8_t', SIZE);
const handle = [null];
assert.equal(init(region, SIZE, null, handle), OK);
const [cache] = handle;

const key = Buffer.from('key'), value = Buffer.from('a\0b'), into = Buffer.alloc(64), length = [0];
assert.equal(set(cache, key, key.length, value, value.length, 60_000), OK);
assert.equal(get(cache, key, key.length, into, into.length, length), OK);
assert.deepEqual(into.subarray(0, Number(length[0])), value);
assert.equal(remove(cache, key, key.length), OK);
assert.equal(get(cache, key, key.length, into, into.length, length), NOT_FOUND);

const stats = { struct_size: koffi.sizeof('larder_cache_stats_t') };
for (const name of Object.keys(koffi.type('larder_cache_stats_t').members)) stats[name] ??= 0;
assert.equal(readStats(cache, stats), OK);
const { sets, hits, misses, deletes, item_count } = stats;
assert.deepEqual([sets, hits, misses, deletes, item_count].map(Number), [1, 1, 1, 1, 0]);
assert.equal(Number(stats.payload_bytes) + Number(stats.free_bytes) + Number(stats.overhead_bytes), SIZE);
koffi.free(region);
console.log('node: set, get, a miss, delete and stats are right');
