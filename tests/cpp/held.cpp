// held.cpp: views unpin themselves, and reservations give themselves up.
#include "check.hpp"

#include <array>
#include <string>
#include <vector>

using larder::status;
using larder::reservation;
using larder::view;

namespace {

static_assert(!std::is_copy_constructible_v<view> && std::is_nothrow_move_constructible_v<view>);
static_assert(!std::is_copy_constructible_v<reservation> && std::is_nothrow_move_constructible_v<reservation>);

// A value longer than a page, so that it has several pieces.
std::string long_value()
{
    std::string value(5000, ' ');
    for (std::size_t i = 0; i < value.size(); i++)
        value[i] = static_cast<char>('a' + i % 26);
    return value;
}

TEST_CASE("a view keeps its bytes, and unpins itself")
{
    TestCache<> test;
    REQUIRE_OK(test.cache.set("key", "value"));
    {
        view one = *test.cache.pin("key");
        CHECK((one.size() == 5 && one.span_count() == 1 && one.first() == "value"));
        CHECK_OK(test.cache.set("key", "another"));
        CHECK_OK(test.cache.erase("key"));
        CHECK(one.first() == "value");
        CHECK(test.stats().views == 1);
    }
    CHECK(test.stats().views == 0);
    CHECK_STATUS(test.cache.pin("key"), status::not_found);
    CHECK_OK(test.cache.clear());
}

TEST_CASE("clear removes all items, and views keep their bytes")
{
    TestCache<> test;
    REQUIRE_OK(test.cache.set("key", "value"));
    const view held = *test.cache.pin("key");
    reservation room = *test.cache.reserve("other", 3);
    CHECK_OK(test.cache.clear());
    CHECK((test.cache.item_count() == 0 && held.first() == "value" && test.stats().views == 1));
    std::memcpy(room.first().data(), "new", 3);
    CHECK(room.commit().error() == status::stale);
    CHECK((!test.cache.contains("other") && test.stats().reservations == 0));
}

TEST_CASE("a view moves, and is released once")
{
    TestCache<> test;
    REQUIRE_OK(test.cache.set("a", "1"));
    REQUIRE_OK(test.cache.set("b", "2"));
    view a = *test.cache.pin("a"), b = *test.cache.pin("b");
    CHECK(test.stats().views == 2);
    a = std::move(b);
    CHECK((test.stats().views == 1 && a.first() == "2"));
    CHECK((b.size() == 0 && b.span_count() == 0 && b.first().empty()));
    CHECK_STATUS(b.span(0), status::invalid);
    view c = std::move(a);
    CHECK((test.stats().views == 1 && c.first() == "2"));
    CHECK_OK(c.release());
    CHECK_STATUS(c.release(), status::invalid);
    CHECK(test.stats().views == 0);
    view nothing;
    CHECK_STATUS(nothing.release(), status::invalid);
}

TEST_CASE("a view outlives the handle that made it")
{
    TestCache<> test;
    REQUIRE_OK(test.cache.set("key", "value"));
    view held = *larder::cache(test.cache.handle()).pin("key");
    CHECK(held.first() == "value");
}

TEST_CASE("a value in pieces is viewed piece by piece")
{
    TestCache<> test;
    REQUIRE_OK(test.cache.set("key", long_value()));
    const view held = *test.cache.pin("key");
    REQUIRE(held.span_count() > 1);
    CHECK((held.size() == 5000 && held.first().size() < 5000));

    std::string joined;
    for (std::uint32_t i = 0; i < held.span_count(); i++)
        joined += held.span(i)->text();
    CHECK(joined == long_value());
    CHECK_STATUS(held.span(held.span_count()), status::not_found);

    std::array<larder_span, 1> few;
    CHECK_STATUS(held.spans(few), status::buffer_too_small);
    std::vector<larder_span> spans(held.span_count());
    CHECK(*held.spans(spans) == spans.size());
    CHECK(spans[0].data == held.first().data());
}

TEST_CASE("there are no more pins than the configuration allows")
{
    larder::cache_config config;
    config.pins_max = 2;
    TestCache<> test(config);
    REQUIRE_OK(test.cache.set("key", "value"));
    const view one = *test.cache.pin("key"), two = *test.cache.pin("key");
    CHECK_STATUS(test.cache.pin("key"), status::no_memory);
    CHECK_STATUS(test.cache.reserve("other", 5), status::no_memory);
}

TEST_CASE("a reserved value is found after the commit, and not before")
{
    TestCache<> test;
    REQUIRE_OK(test.cache.set("key", "old"));
    reservation room = *test.cache.reserve("key", 5, std::chrono::seconds(9));
    CHECK((room.size() == 5 && room.span_count() == 1 && room.first().size() == 5));
    std::memcpy(room.first().data(), "fresh", 5);
    CHECK(*test.cache.get_as<std::string>("key") == "old");
    CHECK_OK(room.commit());
    CHECK(*test.cache.get_as<std::string>("key") == "fresh");
    CHECK(*test.cache.ttl("key") == std::chrono::seconds(9));
    CHECK(room.size() == 0);
    CHECK_STATUS(room.commit(), status::invalid);
    CHECK_STATUS(room.abort(), status::invalid);
}

TEST_CASE("a reservation gives itself up")
{
    TestCache<> test;
    {
        reservation room = *test.cache.reserve("key", 5);
        reservation moved = std::move(room);
        CHECK(test.stats().reservations == 1);
        moved = *test.cache.reserve("other", 6);
        CHECK(test.stats().reservations == 1);
        (void)*test.cache.reserve("third", 7);
        CHECK(test.stats().reservations == 1);
    }
    CHECK((test.stats().reservations == 0 && test.cache.item_count() == 0));
    reservation room = *test.cache.reserve("key", 5);
    CHECK_OK(room.abort());
    CHECK(test.stats().reservations == 0);
}

TEST_CASE("a reservation in pieces is written piece by piece")
{
    TestCache<> test;
    const std::string value = long_value();
    reservation room = *test.cache.reserve("key", value.size());
    REQUIRE(room.span_count() > 1);
    std::vector<larder_span> spans(room.span_count());
    CHECK(*room.spans(spans) == spans.size());
    std::size_t at = 0;
    for (std::uint32_t i = 0; i < room.span_count(); i++) {
        const larder::buffer piece = *room.span(i);
        CHECK((piece.data() == spans[i].data && piece.size() == spans[i].len));
        at += value.copy(reinterpret_cast<char *>(piece.data()), piece.size(), at);
    }
    CHECK(at == value.size());
    CHECK_OK(room.commit());
    CHECK(*test.cache.get_as<std::string>("key") == value);
}

} // namespace
