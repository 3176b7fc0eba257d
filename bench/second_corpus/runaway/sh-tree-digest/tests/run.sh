#!/bin/sh
# Builds a tree of folders, takes its digest, and looks whether changes are seen.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

grow() {    # grow DIR LEVELS
    mkdir -p "$1"
    echo "level $2 of $1" > "$1/notes.txt"
    echo "$2" > "$1/level"
    [ "$2" -eq 0 ] && return 0
    for name in assets code docs; do
        grow "$1/$name" $(($2 - 1))
    done
}

cd "$work"
grow tree 5
first=$(sh "$top/digest.sh" tree "$top/digest.sh")
second=$(sh "$top/digest.sh" tree "$top/digest.sh")
[ "$first" = "$second" ] || { echo "not ok: digest changes by itself"; exit 1; }
echo "ok digest is stable"

echo changed >> tree/docs/code/assets/docs/notes.txt
third=$(sh "$top/digest.sh" tree "$top/digest.sh")
[ "$first" != "$third" ] || { echo "not ok: change is not seen"; exit 1; }
echo "ok change is seen"
