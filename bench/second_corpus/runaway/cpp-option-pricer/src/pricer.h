#pragma once
#include <cstdint>

struct Option {
    double spot, strike, rate, volatility, years;
};

// Mean discounted payoff of a call over `paths` random paths, on `threads` threads.
double call_price(const Option &option, std::uint64_t paths, unsigned threads);
