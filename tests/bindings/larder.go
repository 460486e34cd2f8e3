// larder from Go, by cgo. usage: CGO_CFLAGS=-Iinclude CGO_LDFLAGS='liblarder.a -lpthread -lm' go run larder.go
package main

/*
#include <larder.h>
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"unsafe"
)

const size = 1 << 20

func check(is bool, what string) {
	if !is {
		panic(what)
	}
}

// pointer returns the address of one or more bytes for one call: larder keeps no pointer to them.
func pointer(bytes []byte) unsafe.Pointer { return unsafe.Pointer(&bytes[0]) }

func main() {
	// The region is C's memory, aligned to LARDER_ALIGN, since Go's may move. Only larder uses it while the cache is used.
	region := C.malloc(size)
	defer C.free(region)
	var cache *C.larder_cache
	check(C.larder_cache_init(region, size, nil, &cache) == C.LARDER_OK, "init")

	key, value, into := []byte("key"), []byte("a\x00b"), make([]byte, 64)
	var length C.size_t
	check(C.larder_cache_set(cache, pointer(key), 3, pointer(value), 3, 60000) == C.LARDER_OK, "set")
	check(C.larder_cache_get(cache, pointer(key), 3, pointer(into), 64, &length) == C.LARDER_OK, "get")
	check(string(into[:length]) == "a\x00b", "the value")
	check(C.larder_cache_delete(cache, pointer(key), 3) == C.LARDER_OK, "delete")
	check(C.larder_cache_get(cache, pointer(key), 3, pointer(into), 64, &length) == C.LARDER_NOT_FOUND, "a miss")

	var stats C.larder_cache_stats_t
	stats.struct_size = C.sizeof_larder_cache_stats_t
	check(C.larder_cache_stats(cache, &stats) == C.LARDER_OK, "stats")
	check(stats.sets == 1 && stats.hits == 1 && stats.misses == 1, "reads and sets")
	check(stats.deletes == 1 && stats.item_count == 0, "deletes")
	check(stats.payload_bytes+stats.free_bytes+stats.overhead_bytes == size, "bytes")
	fmt.Println("go: set, get, a miss, delete and stats are right")
}
