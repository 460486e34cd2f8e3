// whole.cpp: whole caches: regions, limits, scans, warm restart, monitor.
#include "check.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

namespace {

static_assert(!std::is_move_constructible_v<larder::monitor> && !std::is_copy_constructible_v<larder::monitor>);

TEST_CASE("a region is checked before it is used")
{
    larder::region<8192> region;
    CHECK_STATUS(larder::cache::create(region.data() + 1, 8000), status::misaligned);
    CHECK_STATUS(larder::cache::create(region.data(), 64), status::no_memory);
    CHECK_STATUS(larder::cache::create(larder::buffer()), status::invalid);
    larder::cache_config config;
    config.shards = 65;
    CHECK_STATUS(larder::cache::create(region, config), status::invalid);
    CHECK_OK(larder::cache::create(region.data(), region.size()));
}

TEST_CASE("a region of the required size holds the items")
{
    const std::size_t size = *larder::cache::required_size(500, 7, 100);
    std::vector<std::max_align_t> memory(size / sizeof(std::max_align_t) + 1);
    larder::cache cache = *larder::cache::create(memory.data(), size);
    for (int i = 100; i < 600; i++)
        CHECK_OK(cache.set("key " + std::to_string(i), std::string(100, 'v')));
    CHECK(cache.item_count() == 500);
    CHECK_STATUS(larder::cache::required_size(1, 0, 1), status::invalid);
}

TEST_CASE("a handle that was moved from refuses calls")
{
    TestCache<> test;
    larder::cache other = std::move(test.cache);
    CHECK_OK(other.set("key", "v"));
    CHECK_STATUS(test.cache.set("key", "v"), status::invalid);
    CHECK_STATUS(test.cache.pin("key"), status::invalid);
    CHECK_STATUS(test.cache.stats(), status::invalid);
    CHECK(test.cache.memory_limit() == 0);
    test.cache = std::move(other);
    CHECK(test.cache.contains("key"));
    CHECK(other.handle() == nullptr);
}

TEST_CASE("the limit can change")
{
    TestCache<> test;
    larder::cache &cache = test.cache;
    for (int i = 0; i < 2000; i++)
        CHECK_OK(cache.set(std::to_string(i), std::string(50, 'v')));
    CHECK(cache.memory_limit() == 64 * 1024);
    CHECK(cache.memory_usage() <= cache.memory_limit());
    CHECK_OK(cache.set_memory_limit(32 * 1024));
    CHECK_STATUS(cache.set_memory_limit(0), status::invalid);
    const larder_optimize_report slice = *cache.optimize(1);
    CHECK(slice.done == 0);
    CHECK(cache.optimize()->done == 1);
    CHECK(cache.memory_usage() <= 32 * 1024);
    const larder_cache_stats_t stats = test.stats();
    CHECK(stats.payload_bytes + stats.free_bytes + stats.overhead_bytes == stats.region_bytes);
    CHECK(cache.limits()->key_len_max == 255);
    CHECK(cache.class_stats(LARDER_OWNER_MAIN)->slot_size == stats.page_size);
    CHECK_STATUS(cache.class_stats(99), status::not_found);
    CHECK(cache.page_info(stats.page_count - 1)->slots == stats.page_size / 4);
    CHECK_STATUS(cache.page_info(stats.page_count), status::not_found);
    CHECK_OK(cache.clear());
    CHECK(cache.item_count() == 0);
}

TEST_CASE("statistics are printed in three formats")
{
    larder::region<65536> region;
    larder::cache cache = *larder::cache::create(region);
    CHECK_OK(cache.set("key", "value"));
    std::array<char, LARDER_STATS_PRINT_MAX> buffer;
    CHECK(cache.print_stats(LARDER_FORMAT_TEXT, buffer)->substr(0, 6) == "stats\n");
    CHECK(cache.print_stats(LARDER_FORMAT_JSON, buffer)->substr(0, 25) == "{\"stats\":{\"item_count\":1,");
    CHECK(cache.print_stats(LARDER_FORMAT_PROMETHEUS, buffer)->find("\nlarder_sets_total 1\n") != std::string::npos);
    CHECK_STATUS(cache.print_stats(LARDER_FORMAT_JSON, larder::buffer(buffer.data(), 20)), status::buffer_too_small);
    CHECK_STATUS(cache.print_stats(3, buffer), status::invalid);
}

TEST_CASE("a scan visits each item, and goes on where it was stopped")
{
    TestCache<> test;
    for (int i = 0; i < 20; i++)
        REQUIRE_OK(test.cache.set("key " + std::to_string(i), std::to_string(i), 1s));

    std::map<std::string, std::string> seen;
    CHECK_OK(test.cache.scan([&](const larder::item &item) {
        CHECK((item.ttl() == 1s && item.size() == item.first().size()));
        seen.emplace(item.key().text(), item.first().text());
    }));
    CHECK((seen.size() == 20 && seen["key 7"] == "7"));

    larder_cursor cursor{};
    int count = 0;
    auto stop_at_five = [&, owned = std::make_unique<int>(5)](const larder::item &) { return ++count != *owned; };
    CHECK_STATUS(test.cache.scan(std::move(stop_at_five), cursor), status::again);
    CHECK(count == 5);
    CHECK_OK(test.cache.scan([&](const larder::item &) { count++; }, cursor));
    CHECK(count == 20);

    CHECK_OK(test.cache.scan([&](const larder::item &) { CHECK_STATUS(test.cache.clear(), status::busy); }));
}

template <class Call> bool terminates(Call call)
{
    const pid_t child = fork();
    if (child == 0) {
        std::set_terminate([] { _exit(3); });
        call();
        _exit(4);
    }
    int result = 0;
    REQUIRE(waitpid(child, &result, 0) == child);
    return WIFEXITED(result) && WEXITSTATUS(result) == 3;
}

TEST_CASE("an exception out of a callable ends the program, and does not cross the library")
{
    TestCache<> test;
    REQUIRE_OK(test.cache.set("key", "value"));
    CHECK(terminates([&] { (void)test.cache.scan([](const larder::item &) { throw 1; }); }));
    CHECK(terminates([&] { (void)test.cache.erase_if([](const larder::item &) -> bool { throw 1; }); }));
}

TEST_CASE("erase_if removes the selected items, at once or in slices")
{
    TestCache<> test;
    auto fill = [&] {
        for (int i = 0; i < 100; i++)
            REQUIRE_OK(test.cache.set(std::to_string(i), std::to_string(i % 2)));
    };
    auto is_odd = [owned = std::make_unique<std::string>("1")](const larder::item &item) {
        return item.first() == *owned;
    };
    fill();
    CHECK(*test.cache.erase_if(std::move(is_odd)) == 50);
    CHECK((test.cache.contains("98") && !test.cache.contains("99")));

    fill();
    larder_cursor cursor{};
    std::uint64_t sum = 0, deleted = 0;
    int slices = 0;
    larder::result<> done;
    do {
        done = test.cache.erase_if([](const larder::item &item) { return item.first() == "1"; }, cursor, 7, deleted);
        sum += deleted;
        slices++;
    } while (done.error() == status::again);
    CHECK_OK(done);
    CHECK((sum == 50 && slices == 15 && test.cache.item_count() == 50));

    CHECK(*test.cache.erase_if([&](const larder::item &) { return test.cache.clear().has_value(); }) == 0);
    CHECK_STATUS(larder::cache().erase_if([](const larder::item &) { return true; }), status::invalid);
}

TEST_CASE("a cache is attached in place")
{
    larder::region<16 * 1024> region;
    std::fill_n(region.data(), region.size(), std::byte{0});
    larder_attach_report report = LARDER_ATTACH_REPORT_INIT;
    CHECK_STATUS(larder::cache::attach(region, {}, &report), status::not_found);
    CHECK(report.found == LARDER_FOUND_NOTHING);
    REQUIRE_OK(larder::cache::create(region)->set("key", "kept"));
    auto attached = larder::cache::attach(region, larder::cache_config(), &report);
    REQUIRE_OK(attached);
    CHECK(*attached->get_as<std::string>("key") == "kept");
    CHECK(report.items_recovered == 1);
    larder::cache_config other;
    other.policy = LARDER_POLICY_LRU;
    CHECK_STATUS(larder::cache::attach(region, other), status::version_mismatch);
}

TEST_CASE("processes share a cache")
{
    larder::region<64 * 1024> region;
    std::fill_n(region.data(), region.size(), std::byte{0});
    std::vector<std::uint64_t> mine(larder::cache::handle_size() / 8 + 1), others(mine.size());
    const larder::buffer handle(mine.data(), mine.size() * 8), other(others.data(), others.size() * 8);
    CHECK_STATUS(larder::cache::join(region, handle), status::not_found);
    auto made = larder::cache::share(region, handle);
    REQUIRE_OK(made);
    CHECK_STATUS(larder::cache::share(region, other), status::exists);
    auto joined = larder::cache::join(region, other);
    REQUIRE_OK(joined);
    REQUIRE_OK(made->set("key", "seen"));
    CHECK(*joined->get_as<std::string>("key") == "seen");
    REQUIRE_OK(joined->reap());
    CHECK(made->stats()->recoveries == 0);
    larder::cache_config config;
    config.hash_seed = 1;
    CHECK_STATUS(larder::cache::join(region, other, config), status::version_mismatch);
}

TEST_CASE("threads share a cache")
{
    larder::cache_config config;
    config.shards = 4;
    TestCache<256 * 1024> test(config);
    auto work = [&](int thread) {
        for (int i = 0; i < 2000; i++) {
            (void)test.cache.set(std::to_string(i), std::to_string(i + thread));
            (void)test.cache.get_as<std::string>("7");
        }
    };
    std::thread one(work, 1), two(work, 2);
    one.join();
    two.join();
    CHECK(test.stats().sets == 4000);
}

TEST_CASE("a monitor that was not made refuses calls")
{
    larder::monitor monitor;
    CHECK_STATUS(monitor.poll(1s), status::invalid);
    CHECK_STATUS(monitor.set_interval(1s), status::invalid);
    CHECK_STATUS(monitor.stats(), status::invalid);
    CHECK_STATUS(monitor.start(), status::invalid);
    CHECK_STATUS(monitor.stop(), status::invalid);
}

TEST_CASE("a monitor checks at the caller's tick")
{
    TestCache<> test;
    larder::monitor monitor;
    larder::monitor_config config;
    int reports = 0;
    config.on_report = [](void *ctx, const larder_monitor_report *) noexcept { ++*static_cast<int *>(ctx); };
    config.report_ctx = &reports;
    REQUIRE_OK(monitor.init(test.cache, config));
    for (auto now = 1000ms; now <= 3000ms; now += 500ms)
        CHECK_OK(monitor.poll(now));
    CHECK((reports == 3 && monitor.stats()->checks_performed == 3));
    std::array<larder_monitor_sample, 2> samples;
    CHECK(*monitor.history(samples) == 2);
    CHECK_STATUS(monitor.set_interval(-1s), status::invalid);
    CHECK_OK(monitor.set_interval(10ms));
    CHECK_OK(monitor.poll(3010ms));
    CHECK(reports == 4);
}

TEST_CASE("a monitor's thread ends with it")
{
    TestCache<> test;
    std::atomic<int> reports{0};
    larder::monitor_config config;
    config.on_report = [](void *ctx, const larder_monitor_report *) noexcept {
        ++*static_cast<std::atomic<int> *>(ctx);
    };
    config.report_ctx = &reports;
    auto stays = [&] {
        const int before = reports;
        std::this_thread::sleep_for(20ms);
        CHECK(reports == before);
    };
    {
        larder::monitor monitor;
        REQUIRE_OK(monitor.init(test.cache, config));
        REQUIRE_OK(monitor.set_interval(1ms));
        CHECK_OK(monitor.start());
        CHECK_STATUS(monitor.start(), status::busy);
        while (monitor.stats()->checks_performed < 3)
            std::this_thread::sleep_for(1ms);
        CHECK_OK(monitor.stop());
        CHECK(monitor.stats()->running == 0);
        CHECK_OK(monitor.start());
        CHECK_OK(monitor.init(test.cache, config)); // stops it first
        REQUIRE_OK(monitor.set_interval(1ms));
        CHECK(monitor.stats()->running == 0);
        stays();
        CHECK_OK(monitor.start());
    }
    stays();
    CHECK_OK(test.cache.clear());
}

} // namespace
