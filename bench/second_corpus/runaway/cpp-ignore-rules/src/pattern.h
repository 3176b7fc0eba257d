#pragma once
#include <string_view>

// '*' is any run of characters, '?' any one, '[abc]' one of these.
bool pattern_matches(std::string_view pattern, std::string_view name);
