#!/bin/sh
# Publishes two sites to the same place at the same time.
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT

sh bin/publish.sh sites/docs "$out/alone" || exit 1
[ -f "$out/alone/usage.html" ] || { echo "not ok alone"; exit 1; }
echo "ok alone"

sh bin/publish.sh sites/blog "$out/shared" &
sleep 0.3
sh bin/publish.sh sites/docs "$out/shared"
wait
[ -f "$out/shared/index.html" ] && [ -f "$out/shared/usage.html" ] || { echo "not ok shared"; exit 1; }
echo "ok shared"
