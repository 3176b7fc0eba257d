#!/usr/bin/env bash
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh

base=http://127.0.0.1:18473
start_app
wait_for_app "$base"
expect_body "$base/products" lamp
expect_body "$base/products" chair
