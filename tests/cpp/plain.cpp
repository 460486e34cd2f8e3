// plain.cpp: larder.hpp without exceptions and RTTI, and without a test library. With the argument "full" it requests
// more than a memory resource has, which ends the program by std::abort.
#include <larder.hpp>

#include <cstdio>

static larder::region<64 * 1024> memory;

static bool works()
{
    larder::result<larder::cache> created = larder::cache::create(memory);
    if (!created)
        return false;
    larder::cache &cache = *created;
    char into[16];
    int count = 0;
    bool good = cache.set("key", "value").has_value() && *cache.get("key", into) == "value";
    good = good && cache.pin("key")->first() == "value" && cache.reserve("other", 3)->commit().has_value();
    good = good && cache.scan([&](const larder::item &) { count++; }) && count == 2;
    good = good && *cache.erase_if([](const larder::item &item) { return item.size() == 3; }) == 1;
    larder::monitor monitor;
    return good && monitor.init(cache) && monitor.poll(std::chrono::seconds(1));
}

#ifdef LARDER_PMR
static bool fits(std::size_t size)
{
    static larder::region<64 * 1024> more;
    larder::result<larder::pool> pool = larder::pool::create(more);
    larder::pool_resource resource(*pool);
    void *data = resource.allocate(size);
    resource.deallocate(data, size);
    return pool->stats()->used_size == 0;
}
#else
static bool fits(std::size_t) { return true; }
#endif

int main(int argc, char **argv)
{
    const bool is_full = argc > 1 && std::strcmp(argv[1], "full") == 0;
    const bool good = works() && fits(is_full ? 1 << 20 : 100);
    std::printf("plain: %d passed, %d failed\n", good, !good);
    return good ? 0 : 1;
}
