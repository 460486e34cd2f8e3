// check.hpp: tools of the tests of larder.hpp.
#pragma once

#include <larder.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

using larder::status;

// The status of a call; status::ok if the result has a value.
#define CHECK_STATUS(call, wanted) CHECK((call).error() == (wanted))
#define CHECK_OK(call) CHECK_STATUS(call, status::ok)
#define REQUIRE_OK(call) REQUIRE((call).error() == status::ok)

// A cache with its own region and a clock that never advances.
template <std::size_t Size = 64 * 1024> struct TestCache {
    explicit TestCache(larder::cache_config config = {})
    {
        config.now_ms = [](void *ctx) noexcept { return *static_cast<std::uint64_t *>(ctx); };
        config.now_ctx = &now;
        auto created = larder::cache::create(region, config);
        REQUIRE_OK(created);
        cache = *std::move(created);
    }
    ~TestCache() { CHECK_OK(cache.check()); }
    larder_cache_stats_t stats() { return *cache.stats(); }

    larder::region<Size> region;
    std::uint64_t now = 1000;
    larder::cache cache;
};
