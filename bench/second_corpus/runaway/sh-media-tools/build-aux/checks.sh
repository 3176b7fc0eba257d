# Checks that configure uses.
: "${CC:=gcc}"

check_header() {
    printf 'checking for %s.h... ' "$1"
    if echo "#include <$1.h>" | $CC -E - > /dev/null 2>&1; then
        echo yes
    else
        echo no
        return 1
    fi
}
