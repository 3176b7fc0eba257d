#!/bin/sh
for name in site.css print.css app.js; do
    echo "copied $name"
done
