#include "rules.h"
#include <cstdio>
#include <cstdlib>

static void check(bool ok, const char *what)
{
    std::printf("%s %s\n", ok ? "ok" : "not ok", what);
    std::fflush(stdout);
    if (!ok)
        std::exit(1);
}

int main()
{
    IgnoreRules rules("# build products\n"
                      "*.o\n"
                      "build/*\n"
                      "!build/keep.[ch]\n"
                      "*-*-*-*-*-*-*-*-*-*-*-*-*-*.log\n");

    check(rules.ignored("src/main.o"), "objects");
    check(!rules.ignored("src/main.c"), "sources");
    check(!rules.ignored("build/keep.c"), "taken back");
    check(rules.ignored("run-1-2-3-4-5-6-7-8-9-10-11-12-13.log"), "logs");
    check(!rules.ignored("logs/2024-01-17-06-25-00-eu-west-1a-node-07-shard-03-replica-2-db-main-wal-segment-"
                         "000000010000000A-part-01-of-12-attempt-3-retry-0-host-a-b-c-d-e-f-g-h-final.log.gz"), "archives");
    return 0;
}
