#pragma once
#include <array>
#include <cstddef>

constexpr std::size_t table_size = 8192;
constexpr int harmonics = 48;

extern const std::array<float, table_size> saw_table;
extern const std::array<float, table_size> square_table;
