"""larder from Python, by ctypes. usage: python3 larder.py PATH_OF_liblarder.so"""
import ctypes as c
import mmap
import sys

OK, NOT_FOUND = 0, -1


class Stats(c.Structure):
    """larder_cache_stats_t of larder.h"""
    _fields_ = [(name, c.c_uint32) for name in ('struct_size', 'abi_version')] + [
        (name, c.c_uint64) for name in '''item_count hits misses sets updates deletes evictions expirations
        failed_no_memory failed_too_large failed_exists failed_type_mismatch failed_buffer_too_small failed_busy
        region_bytes limit_bytes payload_bytes free_bytes overhead_bytes total_allocated total_used peak_used
        pool_reuses arena_allocs reclaim_passes items_moved index_rebuilds index_splits'''.split()] + [
        (name, c.c_uint32) for name in '''memory_pressure page_size page_count pages_free shards policy views
        reservations'''.split()] + [(name, c.c_uint64) for name in ('failed_corrupt', 'dead_bytes')]


lib = c.CDLL(sys.argv[1])
key_type, cache_type = [c.c_char_p, c.c_size_t], c.c_void_p
lib.larder_cache_init.argtypes = [c.c_void_p, c.c_size_t, c.c_void_p, c.POINTER(cache_type)]
lib.larder_cache_set.argtypes = [cache_type, *key_type, c.c_char_p, c.c_size_t, c.c_uint64]
lib.larder_cache_get.argtypes = [cache_type, *key_type, c.c_char_p, c.c_size_t, c.POINTER(c.c_size_t)]
lib.larder_cache_delete.argtypes = [cache_type, *key_type]
lib.larder_cache_stats.argtypes = [cache_type, c.POINTER(Stats)]

# The region starts at a page. Only larder uses it while the cache is used, so the program keeps it alive.
memory = mmap.mmap(-1, 1 << 20)
region = (c.c_char * len(memory)).from_buffer(memory)
cache = cache_type()
assert lib.larder_cache_init(c.addressof(region), len(memory), None, c.byref(cache)) == OK

into, length = c.create_string_buffer(64), c.c_size_t()
assert lib.larder_cache_set(cache, b'key', 3, b'a\0b', 3, 60_000) == OK
assert lib.larder_cache_get(cache, b'key', 3, into, len(into), c.byref(length)) == OK
assert into.raw[:length.value] == b'a\0b'
assert lib.larder_cache_delete(cache, b'key', 3) == OK
assert lib.larder_cache_get(cache, b'key', 3, into, len(into), c.byref(length)) == NOT_FOUND

stats = Stats(struct_size=c.sizeof(Stats))
assert lib.larder_cache_stats(cache, c.byref(stats)) == OK
assert (stats.sets, stats.hits, stats.misses, stats.deletes, stats.item_count) == (1, 1, 1, 1, 0)
assert stats.payload_bytes + stats.free_bytes + stats.overhead_bytes == stats.region_bytes == len(memory)
print('python: set, get, a miss, delete and stats are right')
