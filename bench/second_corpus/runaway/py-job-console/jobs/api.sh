#!/bin/sh
# Stands in for the API until the browser tests are through.
echo "listening"
sleep 12
echo "bye"
