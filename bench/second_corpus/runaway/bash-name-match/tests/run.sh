#!/usr/bin/env bash
# Every name with one slip of the keyboard has to be found again.
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib/match.sh"
mapfile -t NAMES < "$here/names.txt"

failed=0
check() {
    if [[ $1 == "$2" ]]; then return; fi
    echo "not ok $3: got $1, wanted $2"
    (( failed++ ))
}

distance kitten sitting; check "$REPLY" 3 distance
distance same same;      check "$REPLY" 0 distance

checked=0
for name in "${NAMES[@]}"; do
    for at in 1 2 4 6; do
        slip=${name:0:at}${name:at+1:1}${name:at:1}${name:at+2}
        nearest "$slip"
        check "$REPLY" "$name" "$slip"
        (( checked++ ))
    done
done
echo "$checked slips, $failed failed"
exit $(( failed > 0 ))
