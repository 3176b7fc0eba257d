#include "rules.h"
#include "pattern.h"
#include <sstream>

IgnoreRules::IgnoreRules(std::string_view text)
{
    std::istringstream in{std::string(text)};
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line[0] == '#')
            continue;
        bool keep = line[0] == '!';
        rules_.push_back({keep ? line.substr(1) : line, keep});
    }
}

bool IgnoreRules::ignored(std::string_view path) const
{
    bool result = false;
    for (const Rule &rule : rules_)
        if (result == rule.keep && pattern_matches(rule.pattern, path))
            result = !rule.keep;
    return result;
}
