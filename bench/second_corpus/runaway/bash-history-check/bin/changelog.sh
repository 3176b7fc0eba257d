#!/usr/bin/env bash
# changelog.sh REPO: one line a commit, with the number of lines that it touched.
set -euo pipefail
cd "$1"
git rev-list --reverse main | while read -r commit; do
    touched=$(git diff-tree --root --no-commit-id --numstat -r "$commit" | awk '{ n += $1 + $2 } END { print n + 0 }')
    printf '%s %s %s\n' "$(git rev-parse --short "$commit")" "$touched" "$(git show -s --format=%s "$commit")"
done
