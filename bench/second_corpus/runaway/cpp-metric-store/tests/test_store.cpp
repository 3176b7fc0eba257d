#include "store.h"
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

static void check(bool ok, const char *what)
{
    std::printf("%s %s\n", ok ? "ok" : "not ok", what);
    std::fflush(stdout);
    if (!ok)
        std::exit(1);
}

static void test_many_writers()
{
    MetricStore store;
    std::vector<std::thread> writers;
    for (int t = 0; t < 2; t++)
        writers.emplace_back([&store] {
            for (int i = 0; i < 20000; i++)
                store.record(i % 2 ? "requests=1" : "bytes=512");
        });
    for (auto &w : writers)
        w.join();
    check(store.value("requests") == 20000, "many writers");
}

static void test_bad_number()
{
    MetricStore store;
    store.record("latency=0.25");
    bool refused = false;
    try {
        store.record("latency=fast");
    } catch (const std::invalid_argument &) {
        refused = true;
    }
    check(refused, "a bad number is refused");
    check(store.size() == 1, "and leaves the store as it was");
}

int main()
{
    test_many_writers();
    test_bad_number();
    return 0;
}
