# A lock file that holds the number of its owner's process.

lock_take() {
    while [ -e "$1" ]; do
        read -r owner < "$1" || continue
        kill -0 "$owner" 2>/dev/null || break
    done
    echo "$$" > "$1"
}

lock_drop() {
    rm -f "$1"
}
