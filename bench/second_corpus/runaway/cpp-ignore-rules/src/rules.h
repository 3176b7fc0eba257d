#pragma once
#include <string>
#include <string_view>
#include <vector>

// Rules as in an ignore file: the last one that matches decides, '!' takes back.
class IgnoreRules {
public:
    explicit IgnoreRules(std::string_view text);
    bool ignored(std::string_view path) const;

private:
    struct Rule {
        std::string pattern;
        bool keep;
    };
    std::vector<Rule> rules_;
};
