#include "pricer.h"
#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

namespace {

struct Random {
    std::uint64_t s;

    double uniform()
    {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        return (static_cast<double>(s >> 11) + 0.5) / 9007199254740992.0;
    }

    double normal()
    {
        for (;;) {
            double u = 2 * uniform() - 1, v = 2 * uniform() - 1, q = u * u + v * v;
            if (q > 0 && q < 1)
                return u * std::sqrt(-2 * std::log(q) / q);
        }
    }
};

double payoffs(const Option &o, std::uint64_t paths, std::uint64_t seed)
{
    Random random{seed * 0x9E3779B97F4A7C15u + 1};
    double drift = (o.rate - o.volatility * o.volatility / 2) * o.years;
    double spread = o.volatility * std::sqrt(o.years), sum = 0;
    for (std::uint64_t i = 0; i < paths; i++)
        sum += std::max(0.0, o.spot * std::exp(drift + spread * random.normal()) - o.strike);
    return sum;
}

}  // namespace

double call_price(const Option &option, std::uint64_t paths, unsigned threads)
{
    std::vector<double> sums(threads);
    std::vector<std::thread> pool;
    for (unsigned t = 0; t < threads; t++)
        pool.emplace_back([&, t] { sums[t] = payoffs(option, paths / threads, t + 1); });
    for (auto &t : pool)
        t.join();
    double sum = 0;
    for (double s : sums)
        sum += s;
    return std::exp(-option.rate * option.years) * sum / static_cast<double>(paths / threads * threads);
}
