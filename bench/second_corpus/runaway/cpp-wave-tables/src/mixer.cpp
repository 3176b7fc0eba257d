#include "mixer.h"

float mix(std::size_t at, float balance)
{
    at %= table_size;
    return saw_table[at] * (1 - balance) + square_table[at] * balance;
}
