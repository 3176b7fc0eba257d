#include "tables.h"
#include "series.h"

static constexpr std::array<float, table_size> harmonic_sum(int step)
{
    std::array<float, table_size> table{};
    for (std::size_t i = 0; i < table_size; i++) {
        double phase = two_pi * i / table_size, sum = 0;
        for (int h = 1; h <= harmonics; h += step)
            sum += sine(phase * h) / h;
        table[i] = static_cast<float>(sum);
    }
    return table;
}

constexpr std::array<float, table_size> saw = harmonic_sum(1);
constexpr std::array<float, table_size> square = harmonic_sum(2);

const std::array<float, table_size> saw_table = saw;
const std::array<float, table_size> square_table = square;
