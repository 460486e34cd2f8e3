// values.cpp: a read returns the value set, for all ways to set and to read it.
#include "check.hpp"

#include <array>
#include <memory_resource>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using larder::bytes;
using larder::buffer;

namespace {

struct Point {
    int x, y;
};

// Conversions that must not compile.
static_assert(!std::is_copy_constructible_v<larder::cache> && std::is_nothrow_move_constructible_v<larder::cache>);
static_assert(!std::is_copy_assignable_v<larder::cache> && std::is_nothrow_move_assignable_v<larder::cache>);
static_assert(!std::is_constructible_v<bytes, std::nullptr_t> && !std::is_constructible_v<bytes, int>);
static_assert(!std::is_constructible_v<bytes, std::vector<int>> && !std::is_constructible_v<bytes, std::array<int, 2>>);
static_assert(!std::is_constructible_v<bytes, larder::view>, "the first piece is not the value");
static_assert(!std::is_constructible_v<buffer, const std::string &> && !std::is_constructible_v<buffer, const char *>);
static_assert(!std::is_constructible_v<buffer, bytes> && std::is_constructible_v<bytes, buffer>);
static_assert(!std::is_convertible_v<larder::result<int>, bool> && !std::is_convertible_v<larder::result<>, bool>);
static_assert(!std::is_convertible_v<std::chrono::microseconds, larder::time_to_live>, "it would lose time");
static_assert(larder::time_to_live(1h).ms() == 3600'000 && larder::time_to_live(1ms).ms() == 1);
static_assert(larder::time_to_live(std::chrono::hours::max()).ms() == LARDER_TTL_NEVER, "it does not overflow");
static_assert(larder::time_to_live(std::chrono::hours::min()).ms() == 1, "nor to the other side");
static_assert(larder::time_to_live(larder::never).ms() == LARDER_TTL_NEVER);
static_assert(larder::time_to_live().ms() == LARDER_TTL_DEFAULT);

TEST_CASE("every kind of bytes is a key and a value")
{
    TestCache<> test;
    larder::cache &cache = test.cache;
    char text[16] = "text";
    const std::vector<std::byte> vector{std::byte{0}, std::byte{1}, std::byte{255}};
    const unsigned char array[] = {7, 0, 8};

    CHECK_OK(cache.set("literal", "literal"));
    CHECK_OK(cache.set(std::string("string"), std::string("a\0b", 3)));
    CHECK_OK(cache.set(std::string_view("view"), std::string_view()));
    CHECK_OK(cache.set(text, vector));
    CHECK_OK(cache.set({"pointer and length", 7}, array));
    CHECK_OK(cache.set(larder::bytes_of(Point{1, 2}), larder::bytes_of(Point{3, 4})));

    char into[16];
    CHECK(*cache.get("literal", into) == "literal");
    CHECK(*cache.get("string", into) == std::string("a\0b", 3));
    CHECK(cache.get("view", into)->empty());
    CHECK(*cache.get("text", into) == vector);
    CHECK(*cache.get("pointer", into) == array);
    Point point{};
    CHECK(cache.get(larder::bytes_of(Point{1, 2}), larder::buffer_of(point))->size() == sizeof point);
    CHECK((point.x == 3 && point.y == 4));
    CHECK(cache.item_count() == 6);
}

#ifdef __cpp_lib_span
TEST_CASE("std::span converts to bytes and back")
{
    TestCache<> test;
    std::array<std::byte, 4> array{std::byte{1}, std::byte{2}};
    REQUIRE_OK(test.cache.set("key", std::span(array)));
    std::array<std::byte, 8> into{};
    std::span<const std::byte> got = *test.cache.get("key", std::span(into));
    CHECK((got.data() == into.data() && got.size() == 4 && got[1] == std::byte{2}));
    std::span<std::byte> room = test.cache.reserve("other", 10)->first();
    CHECK(room.size() == 10);
}
#endif

TEST_CASE("a buffer that is too short stays as it is")
{
    TestCache<> test;
    REQUIRE_OK(test.cache.set("key", "0123456789"));
    char into[4] = {'a', 'b', 'c', 'd'};
    CHECK_STATUS(test.cache.get("key", into), status::buffer_too_small);
    CHECK(std::string(into, 4) == "abcd");
    CHECK(*test.cache.size("key") == 10);
    CHECK_STATUS(test.cache.size("absent"), status::not_found);
}

TEST_CASE("a container takes a value of any length, and the read is counted once")
{
    TestCache<> test;
    const std::string value(3000, 'x');
    REQUIRE_OK(test.cache.set("long", value));
    REQUIRE_OK(test.cache.set("empty", ""));
    CHECK(*test.cache.get_as<std::string>("long") == value);
    CHECK(test.cache.get_as<std::vector<std::byte>>("long")->size() == 3000);
    CHECK(test.cache.get_as<std::string>("empty")->empty());
    CHECK_STATUS(test.cache.get_as<std::string>("absent"), status::not_found);

    std::string reused(5000, 'y');
    CHECK_OK(test.cache.get_into("long", reused));
    CHECK(reused == value);
    char memory[4096];
    std::pmr::monotonic_buffer_resource resource(memory, sizeof memory, std::pmr::null_memory_resource());
    std::pmr::string elsewhere(&resource);
    CHECK_OK(test.cache.get_into("long", elsewhere));
    CHECK(std::string_view(elsewhere) == value);

    const larder_cache_stats_t stats = test.stats();
    CHECK((stats.hits == 5 && stats.misses == 1 && stats.failed_buffer_too_small == 0));
}

TEST_CASE("add, replace and erase check whether the item exists")
{
    TestCache<> test;
    larder::cache &cache = test.cache;
    CHECK_STATUS(cache.replace("key", "1"), status::not_found);
    CHECK_OK(cache.add("key", "1"));
    CHECK_STATUS(cache.add("key", "2"), status::exists);
    CHECK_OK(cache.replace("key", "3"));
    CHECK(*cache.get_as<std::string>("key") == "3");
    CHECK(cache.contains("key"));
    CHECK_OK(cache.erase("key"));
    CHECK(!cache.contains("key"));
    CHECK_STATUS(cache.erase("key"), status::not_found);
}

TEST_CASE("an item lives as long as its TTL")
{
    larder::cache_config config;
    config.default_ttl_ms = 5000;
    TestCache<> test(config);
    larder::cache &cache = test.cache;
    CHECK_OK(cache.set("default", "v"));
    CHECK_OK(cache.set("never", "v", larder::never));
    CHECK_OK(cache.set("minute", "v", 1min));
    CHECK_OK(cache.set("past", "v", -3s));
    CHECK_OK(cache.set("now", "v", 0s));
    CHECK(*cache.ttl("default") == 5s);
    CHECK(*cache.ttl("never") == larder::never);
    CHECK(*cache.ttl("minute") == 60'000ms);
    CHECK(*cache.ttl("past") == 1ms);
    CHECK_STATUS(cache.ttl("absent"), status::not_found);

    test.now += 1;
    CHECK_STATUS(cache.contains("past"), status::not_found);
    CHECK_STATUS(cache.contains("now"), status::not_found);
    CHECK_OK(cache.touch("minute", 2h));
    CHECK_OK(cache.touch("default", larder::default_ttl));
    CHECK(*cache.ttl("minute") == 2h);
    test.now += 4999;
    CHECK(cache.contains("default"));
    test.now += 1;
    CHECK_STATUS(cache.contains("default"), status::not_found);
    CHECK(cache.contains("never"));
    CHECK_STATUS(cache.set_time(1s), status::invalid);
}

TEST_CASE("a range ends at the value's end")
{
    TestCache<> test;
    REQUIRE_OK(test.cache.set("key", "0123456789"));
    char into[4];
    CHECK(*test.cache.get_range("key", 3, into) == "3456");
    CHECK(*test.cache.get_range("key", 8, into) == "89");
    CHECK(test.cache.get_range("key", 10, into)->empty());
    CHECK_STATUS(test.cache.get_range("key", 11, into), status::invalid);
}

TEST_CASE("numbers and text keep their type")
{
    TestCache<> test;
    larder::cache &cache = test.cache;
    CHECK_OK(cache.set_number("int", -5));
    CHECK_OK(cache.set_number("unsigned", 7u));
    CHECK_OK(cache.set_number("float", 0.5f));
    CHECK_OK(cache.set_text("text", "words"));
    CHECK(*cache.get_number<std::int64_t>("int") == -5);
    CHECK(*cache.get_number<std::uint64_t>("unsigned") == 7);
    CHECK(*cache.get_number<double>("float") == 0.5);
    char into[6];
    CHECK(*cache.get_text("text", into) == "words");
    CHECK(into[5] == '\0');
    CHECK_STATUS(cache.get_text("text", buffer(into, 5)), status::buffer_too_small);
    CHECK_STATUS(cache.get_number<double>("int"), status::type_mismatch);
    CHECK(cache.get_number<std::int64_t>("absent").value_or(9) == 9);
    CHECK(*cache.type("float") == LARDER_TYPE_F64);

    CHECK(*cache.increment("int") == -4);
    CHECK(*cache.increment("int", 10) == 6);
    CHECK_STATUS(cache.increment("int", INT64_MAX), status::invalid);
    CHECK_STATUS(cache.increment("text"), status::type_mismatch);
}

TEST_CASE("many at once have a status each")
{
    TestCache<> test;
    larder_set_request sets[] = {larder::set_request("a", "1"), larder::set_request("b", "22", 1s),
                                 larder::set_request(std::string_view(), "no key")};
    CHECK_OK(test.cache.set_many(sets));
    CHECK_OK(larder::result_of(sets[0]));
    CHECK_STATUS(larder::result_of(sets[2]), status::invalid);
    CHECK(*test.cache.ttl("b") == 1s);

    char a[4], b[1], c[4];
    std::vector<larder_get_request> gets{larder::get_request("a", a), larder::get_request("b", b),
                                         larder::get_request("c", c)};
    CHECK_OK(test.cache.get_many(gets));
    CHECK(*larder::result_of(gets[0]) == "1");
    CHECK_STATUS(larder::result_of(gets[1]), status::buffer_too_small);
    CHECK((gets[1].value_len == 2));
    CHECK_STATUS(larder::result_of(gets[2]), status::not_found);
}

TEST_CASE("calls that never wait have the same effect as the others")
{
    TestCache<> test;
    char into[4];
    CHECK_OK(test.cache.try_set("key", "1", 1s));
    CHECK(*test.cache.try_get("key", into) == "1");
    CHECK(*test.cache.ttl("key") == 1s);
    CHECK_OK(test.cache.try_erase("key"));
    CHECK_STATUS(test.cache.try_get("key", into), status::not_found);
}

TEST_CASE("a result is a value or a status")
{
    larder::result<std::string> text = std::string("text");
    CHECK((text && text.has_value() && text->size() == 4 && text.error() == status::ok));
    CHECK(std::move(text).value_or("other") == "text");
    const larder::result<std::string> none = status::busy;
    CHECK((!none && none.error() == status::busy && none.value_or("other") == "other"));
    CHECK(larder::result<>());
    CHECK(std::string(larder::message(status::busy)) != larder::message(status::ok));
    CHECK(larder::message(status(-999)) != nullptr);
}

} // namespace
