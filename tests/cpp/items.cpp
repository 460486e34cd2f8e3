// items.cpp: items with tags and versions, values that grow, TTLs that are kept or over, leases.
#include "check.hpp"

#include <string>

using namespace std::chrono_literals;

namespace {

static_assert(larder::keep_ttl.ms() == LARDER_TTL_KEEP);
static_assert(std::is_copy_constructible_v<larder::lease> && std::is_trivially_destructible_v<larder::lease>);

larder::cache_config with_flags(std::uint32_t flags)
{
    larder::cache_config config;
    config.flags = flags;
    return config;
}

TEST_CASE("put checks whether the item exists, and its version")
{
    TestCache<> test(with_flags(LARDER_ITEM_VERSIONS));
    larder::cache &cache = test.cache;
    CHECK_STATUS(cache.put(larder::put_request("key", "0", LARDER_PUT_REPLACE)), status::not_found);
    const std::uint64_t first = *cache.put(larder::put_request("key", "1", LARDER_PUT_ADD));
    CHECK_STATUS(cache.put(larder::put_request("key", "2", LARDER_PUT_ADD)), status::exists);
    const std::uint64_t second = *cache.put(larder::put_request("key", "3", LARDER_PUT_IF_VERSION, first));
    CHECK(second > first);
    CHECK_STATUS(cache.put(larder::put_request("key", "4", LARDER_PUT_IF_VERSION, first)), status::stale);
    CHECK_STATUS(cache.put(larder::put_request("none", "5", LARDER_PUT_IF_VERSION, first)), status::not_found);
    CHECK(*cache.get_as<std::string>("key") == "3");
    CHECK(*cache.put(larder::put_request("key", "6")) > second);
    CHECK_STATUS(cache.put(larder::put_request("key", "7", 99)), status::invalid);
    CHECK_STATUS(cache.put(larder::put_request("", "8")), status::invalid);
    CHECK(*cache.get_as<std::string>("key") == "6");
}

TEST_CASE("without their flags there are neither versions nor tags")
{
    TestCache<> test;
    CHECK(*test.cache.put(larder::put_request("key", "value")) == 0);
    CHECK_STATUS(test.cache.put(larder::put_request("key", "value", LARDER_PUT_IF_VERSION, 1)), status::invalid);
    larder_put tagged = larder::put_request("key", "value");
    tagged.tag = 1;
    CHECK_STATUS(test.cache.put(tagged), status::invalid);
    CHECK_STATUS(test.cache.set_tag("key", 1, 1), status::invalid);
}

TEST_CASE("put evicts nothing on request")
{
    TestCache<> test;
    larder::result<std::uint64_t> stored = status::again;
    int count = 0;
    do {
        const std::string key = std::to_string(count++), value(500, 'v');
        larder_put put = larder::put_request(key, value);
        put.flags = LARDER_NO_EVICT;
        stored = test.cache.put(put);
    } while (stored && count < 1000);
    CHECK_STATUS(stored, status::no_memory);
    CHECK((count > 50 && test.stats().evictions == 0 && test.cache.contains("0")));
}

TEST_CASE("a tag's bits change in place")
{
    TestCache<> test(with_flags(LARDER_ITEM_TAGS));
    larder_put put = larder::put_request("key", "value");
    put.tag = 0xff00;
    REQUIRE_OK(test.cache.put(put));
    CHECK(*test.cache.set_tag("key", 0x0ff0, 0x1234) == 0xff00);
    CHECK(*test.cache.set_tag("key", 0, 0) == 0xf230);
    CHECK_STATUS(test.cache.set_tag("none", 1, 1), status::not_found);
    larder_item item = LARDER_ITEM_INIT;
    char into[8];
    CHECK(*test.cache.get_item("key", into, item) == "value");
    CHECK(item.tag == 0xf230);
}

TEST_CASE("an item and its value are read at once")
{
    TestCache<> test(with_flags(LARDER_ITEM_VERSIONS | LARDER_ITEM_TIMES));
    const std::uint64_t version = *test.cache.put(larder::put_request("key", "value", LARDER_PUT_SET, 0, 1s));
    test.now += 250;
    larder_item item; // not initialised: get_item sets its size
    char into[8];
    CHECK(*test.cache.get_item("key", into, item) == "value");
    CHECK((item.value_len == 5 && item.version == version && item.ttl_ms == 750 && item.age_ms == 250));
    CHECK((item.type == LARDER_TYPE_BYTES && item.is_stale == 0));
    CHECK(test.stats().hits == 1);

    item = LARDER_ITEM_INIT;
    CHECK_STATUS(test.cache.get_item("key", {}, item, LARDER_PEEK), status::buffer_too_small);
    CHECK((item.value_len == 5 && item.version == version));
    CHECK(*test.cache.get_item("key", into, item, LARDER_PEEK) == "value");
    CHECK(test.stats().hits == 1);
    CHECK_STATUS(test.cache.get_item("none", into, item), status::not_found);
    CHECK_STATUS(test.cache.get_item("key", into, item, 1u << 31), status::invalid);
}

TEST_CASE("a value grows at both ends, and keeps its TTL")
{
    TestCache<> test;
    larder::cache &cache = test.cache;
    CHECK_STATUS(cache.append("key", "more"), status::not_found);
    REQUIRE_OK(cache.set("key", "mid", 5s));
    CHECK_OK(cache.append("key", "dle"));
    CHECK_OK(cache.prepend("key", std::string("in the ")));
    CHECK_OK(cache.append("key", {}));
    CHECK(*cache.get_as<std::string>("key") == "in the middle");
    CHECK(*cache.ttl("key") == 5s);
    REQUIRE_OK(cache.set_number("number", 1));
    CHECK_STATUS(cache.prepend("number", "0"), status::type_mismatch);
    CHECK_STATUS(cache.append("key", std::string(64 * 1024, 'x')), status::too_large);
    CHECK(*cache.size("key") == 13);
}

TEST_CASE("a sum wraps, or stays at the end of its range")
{
    TestCache<> test;
    larder::cache &cache = test.cache;
    REQUIRE_OK(cache.set_number("n", std::uint64_t{3}));
    CHECK(*cache.add_u64("n", -5, LARDER_SATURATE) == 0);
    CHECK(*cache.add_u64("n", -1, LARDER_WRAP) == UINT64_MAX);
    CHECK(*cache.add_u64("n", 7, LARDER_SATURATE) == UINT64_MAX);
    CHECK(*cache.add_u64("n", 3, LARDER_WRAP) == 2);
    CHECK_STATUS(cache.add_u64("n", 1, 9), status::invalid);
    CHECK_STATUS(cache.add_u64("none", 1, LARDER_WRAP), status::not_found);
    REQUIRE_OK(cache.set_number("signed", 3));
    CHECK_STATUS(cache.add_u64("signed", 1, LARDER_WRAP), status::type_mismatch);
}

TEST_CASE("an item keeps its TTL")
{
    larder::cache_config config;
    config.default_ttl_ms = 9000;
    TestCache<> test(config);
    REQUIRE_OK(test.cache.set("key", "old", 5s));
    test.now += 1000;
    CHECK_OK(test.cache.set("key", "new", larder::keep_ttl));
    CHECK_OK(test.cache.set("other", "new", larder::keep_ttl));
    CHECK(*test.cache.ttl("key") == 4s);
    CHECK(*test.cache.ttl("other") == 9s);
}

TEST_CASE("in its grace, an expired item is returned on request")
{
    larder::cache_config config;
    config.grace_ms = 500;
    TestCache<> test(config);
    REQUIRE_OK(test.cache.set("key", "value", 1s));
    test.now += 1000;
    larder_item item = LARDER_ITEM_INIT;
    char into[8];
    CHECK_STATUS(test.cache.get("key", into), status::not_found);
    CHECK_STATUS(test.cache.get_item("key", into, item), status::not_found);
    CHECK(*test.cache.get_item("key", into, item, LARDER_STALE_OK) == "value");
    CHECK(item.is_stale == 1);
    test.now += 500;
    CHECK_STATUS(test.cache.get_item("key", into, item, LARDER_STALE_OK), status::not_found);
}

TEST_CASE("one caller gets the lease, and fills it")
{
    TestCache<> test;
    larder::cache &cache = test.cache;
    const larder::lease lease = *cache.lease("key", 1s);
    CHECK_STATUS(cache.lease("key", 1s), status::busy);
    CHECK_STATUS(cache.contains("key"), status::not_found);
    CHECK_OK(cache.fill(lease, "value", 5s));
    CHECK(*cache.get_as<std::string>("key") == "value");
    CHECK(*cache.ttl("key") == 5s);
    CHECK_STATUS(cache.lease("key", 1s), status::exists);
    CHECK_STATUS(cache.fill(lease, "again"), status::stale);
    for (larder::time_to_live time : {larder::default_ttl, larder::keep_ttl, larder::time_to_live(larder::never)})
        CHECK_STATUS(cache.lease("other", time), status::invalid);
}

TEST_CASE("a lease ends with its time, with an erase, a set or a clear")
{
    TestCache<> test;
    larder::cache &cache = test.cache;
    CHECK_STATUS(cache.fill(larder::lease(), "value"), status::stale);
    larder::lease lease = *cache.lease("key", 1s);
    test.now += 1000;
    CHECK_STATUS(cache.fill(lease, "late"), status::stale);
    lease = *cache.lease("key", 1s);
    (void)cache.erase("key");
    CHECK_STATUS(cache.fill(lease, "late"), status::stale);
    lease = *cache.lease("key", 1s);
    CHECK_OK(cache.set("key", "newer"));
    CHECK_STATUS(cache.fill(lease, "late"), status::stale);
    CHECK(*cache.get_as<std::string>("key") == "newer");
    CHECK_OK(cache.erase("key"));
    lease = *cache.lease("key", 1s);
    CHECK_OK(cache.clear());
    CHECK_STATUS(cache.fill(lease, "late"), status::stale);
    CHECK(cache.item_count() == 0);
}

} // namespace
