#pragma once

constexpr double two_pi = 6.283185307179586;

// std::sin is not constexpr; the series converges after some thirty terms.
constexpr double sine(double x)
{
    while (x > two_pi)
        x -= two_pi;
    double term = x, sum = x;
    for (int n = 1; n < 30; n++) {
        term *= -x * x / ((2 * n) * (2 * n + 1));
        sum += term;
    }
    return sum;
}
