// memory.cpp: blocks, arenas, and containers of std::pmr in both.
#include "check.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <memory_resource>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

static_assert(!std::is_copy_constructible_v<larder::pool> && !std::is_copy_constructible_v<larder::block>);
static_assert(!std::is_copy_constructible_v<larder::arena> && std::is_nothrow_move_constructible_v<larder::arena>);

struct TestPool {
    larder::region<256 * 1024> region{};
    larder::pool pool = *larder::pool::create(region);
    std::size_t used() { return pool.stats()->used_size; }
};

bool is_zero(larder::bytes bytes)
{
    for (std::byte byte : bytes)
        if (byte != std::byte{0})
            return false;
    return true;
}

TEST_CASE("a block is aligned and zero, and releases itself")
{
    TestPool test;
    for (int round = 0; round < 3; round++) {
        larder::block block = *test.pool.alloc(100);
        CHECK((block.size() == 100 && block.capacity() >= 100 && is_zero(block)));
        CHECK(reinterpret_cast<std::uintptr_t>(block.data()) % LARDER_ALIGN == 0);
        std::memset(block.data(), 'x', block.size());
        larder::block other = *test.pool.alloc(200);
        other = std::move(block);
        CHECK((other.size() == 100 && block.data() == nullptr && block.size() == 0));
    }
    CHECK((test.used() == 0 && test.pool.stats()->releases == 6 && test.pool.stats()->reuses > 0));
    larder::block block = *test.pool.alloc(1);
    CHECK_OK(block.release());
    CHECK_STATUS(block.release(), status::stale);
    CHECK_STATUS(larder::block().release(), status::invalid);
}

TEST_CASE("a pool refuses what it cannot hold")
{
    TestPool test;
    CHECK_STATUS(test.pool.alloc(0), status::invalid);
    CHECK_STATUS(test.pool.alloc(256 * 1024), status::too_large);
    const larder::block most = *test.pool.alloc(200 * 1024);
    CHECK_STATUS(test.pool.alloc(100 * 1024), status::no_memory);
    CHECK(test.pool.class_stats(0)->block_size > 0);
    CHECK_STATUS(test.pool.class_stats(10000), status::not_found);
    CHECK_STATUS(larder::pool::create({test.region.data(), 16}), status::no_memory);
    CHECK_STATUS(larder::pool().alloc(1), status::invalid);
}

TEST_CASE("an arena allocates until it is reset")
{
    larder::region<4096> region, more;
    larder::arena arena = *larder::arena::create(region);
    void *first = *arena.alloc(10, 1);
    void *aligned = *arena.alloc(64, 64);
    CHECK(reinterpret_cast<std::uintptr_t>(aligned) % 64 == 0);
    CHECK_STATUS(arena.alloc(0), status::invalid);
    CHECK_STATUS(arena.alloc(1, 3), status::invalid);
    CHECK_STATUS(arena.alloc(5000), status::too_large);
    REQUIRE_OK(arena.alloc(3000));
    CHECK_STATUS(arena.alloc(3000), status::no_memory);
    CHECK_OK(arena.add_region(more));
    CHECK_OK(arena.alloc(3000));
    CHECK_OK(arena.reset());
    CHECK((arena.stats()->used == 0 && arena.stats()->regions == 2));
    CHECK(*arena.alloc(10, 1) == first);
    CHECK_STATUS(larder::arena::create(larder::buffer(region.data() + 1, 4000)), status::misaligned);
}

template <class Resource> void fill_containers(Resource &resource)
{
    std::pmr::vector<int> numbers(&resource);
    std::pmr::unordered_map<std::pmr::string, std::pmr::string> map(&resource);
    for (int i = 0; i < 200; i++) {
        numbers.push_back(i);
        map[std::pmr::string("a key that is too long for the string itself " + std::to_string(i), &resource)] =
            "a value that is too long for the string itself";
    }
    CHECK((numbers[199] == 199 && map.size() == 200));
    CHECK(map.begin()->second.get_allocator().resource() == &resource);
}

TEST_CASE("containers in a pool free all their memory")
{
    TestPool test;
    larder::pool_resource resource(test.pool);
    fill_containers(resource);
    CHECK(test.used() == 0);
}

TEST_CASE("a reset frees the containers in an arena")
{
    larder::region<256 * 1024> region;
    larder::arena arena = *larder::arena::create(region);
    larder::arena_resource resource(arena);
    fill_containers(resource);
    CHECK(arena.stats()->used > 0);
    CHECK_OK(arena.reset());
    fill_containers(resource);
}

TEST_CASE("resources throw if there is no room, and do not change")
{
    TestPool test;
    larder::pool_resource blocks(test.pool);
    CHECK_THROWS_AS((void)blocks.allocate(300 * 1024), std::bad_alloc);
    const volatile std::size_t most = SIZE_MAX - 20; // volatile: the compiler warns of a known size
    CHECK_THROWS_AS((void)blocks.allocate(most, 8), std::bad_alloc);
    CHECK_THROWS_AS((void)blocks.allocate(8, 1 << 20), std::bad_alloc);
    std::pmr::list<std::pmr::string> list(&blocks);
    auto fill = [&] {
        while (true)
            list.emplace_back(1000, 'x');
    };
    CHECK_THROWS_AS(fill(), std::bad_alloc);
    CHECK(list.size() > 100);
    list.clear();
    CHECK(test.used() == 0);

    larder::region<4096> region;
    larder::arena arena = *larder::arena::create(region);
    larder::arena_resource bytes(arena);
    CHECK_THROWS_AS((void)bytes.allocate(5000), std::bad_alloc);
    CHECK(bytes.allocate(0) != nullptr);
    CHECK(blocks.is_equal(blocks));
    CHECK(!blocks.is_equal(bytes));
}

// Every byte of an allocation belongs to it alone until it is freed.
TEST_CASE("allocations of every size and alignment do not overlap")
{
    TestPool test;
    larder::pool_resource resource(test.pool);
    struct Taken {
        unsigned char *data;
        std::size_t size, align;
        unsigned char mark;
    };
    std::vector<Taken> taken;
    std::mt19937 random(1);
    auto give_back = [&](std::size_t at) {
        const Taken one = taken[at];
        REQUIRE(std::count(one.data, one.data + one.size, one.mark) == static_cast<std::ptrdiff_t>(one.size));
        resource.deallocate(one.data, one.size, one.align);
        taken[at] = taken.back();
        taken.pop_back();
    };
    for (int i = 0; i < 3000; i++) {
        if (taken.size() > 60)
            give_back(random() % taken.size());
        const std::size_t size = random() % 700, align = std::size_t{1} << random() % 9;
        auto *data = static_cast<unsigned char *>(resource.allocate(size, align));
        REQUIRE(reinterpret_cast<std::uintptr_t>(data) % align == 0);
        const auto mark = static_cast<unsigned char>(random());
        std::memset(data, mark, size);
        taken.push_back({data, size, align, mark});
    }
    while (!taken.empty())
        give_back(0);
    CHECK(test.used() == 0);
}

TEST_CASE("threads share a pool's resource")
{
    TestPool test;
    larder::pool_resource resource(test.pool);
    auto work = [&] {
        for (int round = 0; round < 50; round++) {
            std::pmr::map<int, int> map(&resource);
            for (int i = 0; i < 50; i++)
                map[i] = i;
        }
    };
    std::thread one(work), two(work);
    one.join();
    two.join();
    CHECK(test.used() == 0);
}

} // namespace
