# Helpers for the smoke tests.

start_app() {
    python3 app/server.py > app.log 2>&1 &
    app_pid=$!
    trap 'kill "$app_pid" 2>/dev/null' EXIT
}

wait_for_app() {
    local url=$1/health
    echo "waiting for $url"
    until curl --silent --fail --max-time 2 --output /dev/null "$url"; do
        :
    done
    echo "app is up"
}

expect_body() {
    local got
    got=$(curl --silent "$1")
    [[ $got == *"$2"* ]] || { echo "not ok: $1 said $got"; exit 1; }
    echo "ok $1"
}
