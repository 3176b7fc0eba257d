#pragma once
#include <cstddef>
#include <functional>
#include <map>
#include <ratio>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace units {

template <int Id, class Scale>
struct Unit {
    static constexpr int id = Id;
    using scale = Scale;
    double value;
};

template <class To, class From>
constexpr To convert(From from)
{
    using step = std::ratio_divide<typename From::scale, typename To::scale>;
    return To{from.value * step::num / step::den};
}

// One entry for each pair of units: what a user picks in the two menus.
using Conversion = std::function<std::string(double)>;
using Table = std::map<std::pair<int, int>, Conversion>;

template <class From, class To>
void enter(Table &table)
{
    table.emplace(std::make_pair(From::id, To::id), [](double v) {
        std::vector<std::pair<std::string, double>> steps;
        steps.emplace_back("in", v);
        steps.emplace_back("out", convert<To>(From{v}).value);
        std::string text;
        for (auto &[name, value] : steps)
            text += name + "=" + std::to_string(value) + " ";
        return text;
    });
}

template <class From, class... To>
void enter_row(Table &table, std::tuple<To...>)
{
    (enter<From, To>(table), ...);
}

template <class... From>
Table make_table(std::tuple<From...> all)
{
    Table table;
    (enter_row<From>(table, all), ...);
    return table;
}

}  // namespace units
