#include "pricer.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <thread>

static double exact(const Option &o)
{
    auto cdf = [](double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; };
    double s = o.volatility * std::sqrt(o.years);
    double d1 = (std::log(o.spot / o.strike) + (o.rate + o.volatility * o.volatility / 2) * o.years) / s;
    return o.spot * cdf(d1) - o.strike * std::exp(-o.rate * o.years) * cdf(d1 - s);
}

int main()
{
    unsigned threads = 3 * std::max(1u, std::thread::hardware_concurrency());
    int bad = 0;
    for (double strike : {90.0, 100.0, 110.0}) {
        Option option{100, strike, 0.03, 0.2, 1.0};
        double price = call_price(option, 110000000, threads);
        bool ok = std::fabs(price - exact(option)) < 0.01;
        std::printf("%s strike %.0f: %.4f, exact %.4f\n", ok ? "ok" : "not ok", strike, price, exact(option));
        bad += !ok;
    }
    return bad;
}
