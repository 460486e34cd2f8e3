// consumer.cpp: header and library used from C++, by a small cache of strings in static memory.
#include "check.h"

#include <string>
#include <type_traits>

namespace {

static_assert(std::is_same<larder_status, std::int32_t>::value, "a status is a plain integer");
static_assert(std::is_standard_layout<larder_cache_config>::value, "a configuration is a plain struct");
static_assert(std::is_trivial<larder_monitor>::value, "a monitor needs no constructor");

class StringCache {
public:
    StringCache(void *memory, std::size_t size)
    {
        larder_cache_config config;
        CHECK_STATUS(larder_cache_config_init(&config, sizeof config), LARDER_OK);
        config.policy = LARDER_POLICY_LRU;
        CHECK_STATUS(larder_cache_init(memory, size, &config, &cache_), LARDER_OK);
    }

    larder_status set(const std::string &key, const std::string &value)
    {
        return larder_cache_set(cache_, key.data(), key.size(), value.data(), value.size(), LARDER_TTL_DEFAULT);
    }

    larder_status get(const std::string &key, std::string &value) const
    {
        std::size_t len = 0;
        larder_status status = larder_cache_get(cache_, key.data(), key.size(), nullptr, 0, &len);
        if (status != LARDER_BUFFER_TOO_SMALL) {
            value.clear();
            return status;
        }
        value.resize(len);
        return larder_cache_get(cache_, key.data(), key.size(), &value[0], value.size(), &len);
    }

    larder_cache *handle() const { return cache_; }

private:
    larder_cache *cache_ = nullptr;
};

alignas(LARDER_ALIGN) unsigned char memory[64 * 1024];

int32_t count_items(void *ctx, const larder_item_info *)
{
    ++*static_cast<int *>(ctx);
    return 0;
}

void strings_come_back()
{
    StringCache cache(memory, sizeof memory);
    std::string value;
    CHECK_STATUS(cache.set("greeting", "hello, larder"), LARDER_OK);
    CHECK_STATUS(cache.set("empty", ""), LARDER_OK);
    CHECK_STATUS(cache.set("long", std::string(3000, 'x')), LARDER_OK);
    CHECK_STATUS(cache.get("greeting", value), LARDER_OK);
    CHECK(value == "hello, larder");
    CHECK_STATUS(cache.get("empty", value), LARDER_OK);
    CHECK(value.empty());
    CHECK_STATUS(cache.get("long", value), LARDER_OK);
    CHECK(value == std::string(3000, 'x'));
    CHECK_STATUS(cache.get("absent", value), LARDER_NOT_FOUND);

    int count = 0;
    larder_cursor cursor = {};
    CHECK_STATUS(larder_cache_scan(cache.handle(), &cursor, count_items, &count), LARDER_OK);
    CHECK(count == 3);
    CHECK(larder_cache_item_count(cache.handle()) == 3);

    for (int i = 0; i < 2000; i++)
        CHECK_STATUS(cache.set("key " + std::to_string(i), std::string(50, 'v')), LARDER_OK);
    CHECK_STATUS(cache.get("key 1999", value), LARDER_OK);
    CHECK(value == std::string(50, 'v'));
    CHECK(larder_cache_memory_usage(cache.handle()) <= sizeof memory);
    CHECK_STATUS(larder_cache_check(cache.handle()), LARDER_OK);
    CHECK(std::string(larder_strerror(LARDER_OK)) != larder_strerror(LARDER_NOT_FOUND));
}

} // namespace

int main(int argc, char **argv)
{
    check_begin(argc, argv);
    strings_come_back();
    return check_end("consumer");
}
