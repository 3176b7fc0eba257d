#!/usr/bin/env bash
# make-history.sh REPO COUNT: a repository with COUNT commits on two branches.
set -euo pipefail
repo=$1 count=$2
git init -q -b main "$repo"
cd "$repo"
git commit -q --allow-empty -m "start"
git branch topic
for (( i = 1; i <= count; i++ )); do
    if (( i % 10 == 0 )); then git checkout -q topic; fi
    if (( i % 10 == 1 )); then git checkout -q main; fi
    printf 'value = %d\n' "$i" > "settings-$(( i % 7 )).ini"
    git add -A
    GIT_COMMITTER_DATE="@$(( 1700000000 + i * 60 )) +0000" git commit -q -m "change $i"
done
git checkout -q main
