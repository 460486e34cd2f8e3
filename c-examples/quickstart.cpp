// quickstart.cpp: quickstart.c in C++17: a cache in 64 KiB of static memory.
// Build:  c++ -std=c++17 c-examples/quickstart.cpp -Iinclude target/lib/liblarder.a -lpthread -lm
// Prints: greeting = hello, larder
//         N of 65536 bytes in use                     (N depends on the version)
#include <larder.hpp>

#include <iostream>
#include <string>

static larder::region<64 * 1024> region;

static int failed(const char *call, larder::status status)
{
    std::cerr << call << ": " << larder::message(status) << '\n';
    return 1;
}

static int usage(std::string_view argument)
{
    const bool help = argument == "-h" || argument == "--help";
    (help ? std::cout : std::cerr) << "usage: quickstart-cpp    no arguments; sets a value and gets it\n";
    return help ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return usage(argv[1]);

    larder::result<larder::cache> created = larder::cache::create(region);
    if (!created)
        return failed("create", created.error());
    larder::cache &cache = *created;

    if (auto set = cache.set("greeting", "hello, larder", std::chrono::minutes(1)); !set)
        return failed("set", set.error());

    const auto greeting = cache.get_as<std::string>("greeting");
    if (!greeting)
        return failed("get", greeting.error());

    std::cout << "greeting = " << *greeting << '\n';
    std::cout << cache.memory_usage() << " of " << cache.memory_limit() << " bytes in use\n";
    return 0;
}
