#!/usr/bin/env bash
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
COUNT=500

bash "$top/bin/make-history.sh" "$work/repo" $COUNT
commits=$(git -C "$work/repo" rev-list --all | wc -l)
(( commits == COUNT + 1 )) || { echo "not ok: $commits commits"; exit 1; }
echo "ok history of $commits commits"

bash "$top/bin/changelog.sh" "$work/repo" > "$work/changelog"
lines=$(wc -l < "$work/changelog")
(( lines == COUNT * 9 / 10 + 1 )) || { echo "not ok: $lines lines"; exit 1; }
tail -n 1 "$work/changelog" | grep -q "change $(( COUNT - 1 ))$" || { echo "not ok: last line"; exit 1; }
echo "ok changelog of $lines lines"
