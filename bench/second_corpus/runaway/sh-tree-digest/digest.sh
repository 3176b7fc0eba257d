#!/bin/sh
# digest.sh DIR SELF: one digest for a folder: of its files, and of its subfolders' digests.
set -eu
cd "$1"
self=$2
{
    for entry in *; do
        if [ -d "$entry" ]; then
            printf 'dir %s %s\n' "$entry" "$(sh "$self" "$entry" "$self")"
        elif [ -f "$entry" ]; then
            printf 'file %s %s\n' "$entry" "$(sha256sum < "$entry" | cut -d' ' -f1)"
        fi
    done
} | sha256sum | cut -d' ' -f1
