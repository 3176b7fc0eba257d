#include "pattern.h"

static bool in_set(std::string_view set, char c)
{
    return set.find(c) != std::string_view::npos;
}

bool pattern_matches(std::string_view pattern, std::string_view name)
{
    while (!pattern.empty()) {
        char p = pattern.front();
        if (p == '*') {
            pattern.remove_prefix(1);
            for (size_t skip = 0; skip <= name.size(); skip++)
                if (pattern_matches(pattern, name.substr(skip)))
                    return true;
            return false;
        }
        if (name.empty())
            return false;
        if (p == '[') {
            size_t end = pattern.find(']');
            if (end == std::string_view::npos || !in_set(pattern.substr(1, end - 1), name.front()))
                return false;
            pattern.remove_prefix(end + 1);
        } else {
            if (p != '?' && p != name.front())
                return false;
            pattern.remove_prefix(1);
        }
        name.remove_prefix(1);
    }
    return name.empty();
}
