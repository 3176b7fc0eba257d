#include "lengths.hpp"
#include <cstdio>

int main()
{
    units::Table table = units::make_table(units::Lengths{});
    bool ok = table.size() == static_cast<std::size_t>(units::count * units::count);
    ok = ok && table.at({4, 4})(2.5) == "in=2.500000 out=2.500000 ";
    std::printf("%s %zu conversions\n", ok ? "ok" : "not ok", table.size());
    return !ok;
}
