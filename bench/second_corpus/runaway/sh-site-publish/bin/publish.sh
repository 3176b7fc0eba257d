#!/bin/sh
# publish.sh SITE TARGET: copies a site to where it is served from, one at a time.
here=${0%/*}/..
. "$here/lib/lock.sh"
site=$1 target=$2

mkdir -p "$target"
lock_take "$target/.lock"
trap 'lock_drop "$target/.lock"' EXIT
for page in "$site"/*.html; do
    cp "$page" "$target/"
done
if [ -x "$site/after-publish" ]; then
    "$site/after-publish" "$target"
fi
echo "published $site"
