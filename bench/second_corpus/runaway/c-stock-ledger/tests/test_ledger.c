#include "ledger.h"

#include <assert.h>
#include <stdio.h>

static struct depot north, south;

static void *haul_south(void *arg)
{
    long n = *(long *)arg;
    for (long i = 0; i < n; i++)
        depot_move(&north, &south, 1 + i % 3);
    return NULL;
}

static void *haul_north(void *arg)
{
    long n = *(long *)arg;
    for (long i = 0; i < n; i++)
        depot_move(&south, &north, 1 + i % 3);
    return NULL;
}

static void test_one_move(void)
{
    depot_init(&north, "north", 10);
    depot_init(&south, "south", 0);
    assert(depot_move(&north, &south, 4) == 1);
    assert(depot_move(&north, &south, 40) == 0);
    depot_receive(&south, 1);
    assert(north.units == 6 && south.units == 5);
    puts("ok one move");
}

static void test_total_is_kept(void)
{
    pthread_t a, b;
    long rounds = 20000000;
    depot_init(&north, "north", 1000);
    depot_init(&south, "south", 1000);
    pthread_create(&a, NULL, haul_south, &rounds);
    pthread_create(&b, NULL, haul_north, &rounds);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    assert(north.units + south.units == 2000);
    puts("ok total is kept");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_one_move();
    test_total_is_kept();
    return 0;
}
