// leveldb's LRU cache behind four C functions. A value is a heap block; the charge is the bytes of key and value.
#include <leveldb/cache.h>

#include <cstdlib>
#include <cstring>

using leveldb::Cache;
using leveldb::Slice;

namespace {
struct Value {
    size_t len;
    char bytes[1];
};

void release(const Slice &, void *value) { free(value); }
} // namespace

extern "C" {
void *peer_leveldb_new(size_t charge) { return leveldb::NewLRUCache(charge); }

void peer_leveldb_free(void *cache) { delete static_cast<Cache *>(cache); }

void peer_leveldb_set(void *cache, const char *key, size_t key_len, const char *bytes, size_t len)
{
    auto *value = static_cast<Value *>(malloc(offsetof(Value, bytes) + len));
    value->len = len;
    memcpy(value->bytes, bytes, len);
    auto *all = static_cast<Cache *>(cache);
    all->Release(all->Insert(Slice(key, key_len), value, key_len + len, release));
}

bool peer_leveldb_get(void *cache, const char *key, size_t key_len, char *buffer)
{
    auto *all = static_cast<Cache *>(cache);
    auto *handle = all->Lookup(Slice(key, key_len));
    if (handle == nullptr)
        return false;
    auto *value = static_cast<Value *>(all->Value(handle));
    memcpy(buffer, value->bytes, value->len);
    all->Release(handle);
    return true;
}
}
