source "${BASH_SOURCE[0]%/*}/distance.sh"

# The name in NAMES that is nearest to $1, in REPLY.
nearest() {
    local word=$1 name best=1000 found=
    for name in "${NAMES[@]}"; do
        distance "$word" "$name"
        if (( REPLY < best )); then
            best=$REPLY
            found=$name
        fi
    done
    REPLY=$found
}
