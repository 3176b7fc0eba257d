#pragma once
#include "units.hpp"

namespace units {

template <int I>
using Length = Unit<I, std::ratio<1 + I * I, 3 + I % 5>>;

template <int... I>
std::tuple<Length<I>...> lengths(std::integer_sequence<int, I...>);

constexpr int count = 13;
using Lengths = decltype(lengths(std::make_integer_sequence<int, count>{}));

}  // namespace units
