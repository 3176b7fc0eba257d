#pragma once
#include <array>
#include <cstddef>
#include "tables.h"

float mix(std::size_t at, float balance);
