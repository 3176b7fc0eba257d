#!/bin/sh
# Emacs 30 beside the distribution's 28, for the tests: from Debian 12's backports, by apt, but
# into a folder of the user's own. Nothing of the system changes, and root is not needed.
#
#   deploy/emacs-current.sh    leaves ~/.cache/linnix-ls/emacs-30/emacs; a few seconds, once
#
# Elsewhere than on Debian 12 it does nothing: there the tests use the Emacs that is installed.
set -eu

say() { printf 'setup: %s\n' "$*" >&2; }

place=${XDG_CACHE_HOME:-$HOME/.cache}/linnix-ls/emacs-30
[ ! -x "$place/emacs" ] || exit 0
grep -qx 'VERSION_CODENAME=bookworm' /etc/os-release || exit 0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch" # apt reads as a user of its own
mkdir -p "$scratch/lists/partial" "$scratch/archives/partial" "$scratch/debs"

# The machine's own mirror has the backports, too.
# shellcheck disable=SC2016  # apt's own variables
mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    sed -n 's/ bookworm main$//p' | head -n 1)
for suite in bookworm bookworm-backports; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done >"$scratch/sources.list"

own_apt() {
    apt-get -qq -o Dir::State::lists="$scratch/lists" -o Dir::Cache="$scratch" \
        -o Dir::Etc::sourcelist="$scratch/sources.list" -o Dir::Etc::sourceparts=- "$@" 2>/dev/null
}

say "fetching Emacs 30 for the tests, into $place"
own_apt update
(
    cd "$scratch/debs"
    own_apt download emacs-nox/bookworm-backports emacs-common/bookworm-backports \
        emacs-bin-common/bookworm-backports libtree-sitter0 libsqlite3-0
)
rm -rf "$place"
mkdir -p "$place"
for package in "$scratch"/debs/*.deb; do dpkg-deb -x "$package" "$place"; done

data=$(echo "$place"/usr/share/emacs/30*)
programs=$(dirname "$(echo "$place"/usr/libexec/emacs/30*/*/*.pdmp)")
cat >"$place/emacs.new" <<WRAPPER
#!/bin/sh
# It looks for its own files where they are installed usually; here they are elsewhere.
exec env EMACSLOADPATH='$data/lisp:' EMACSDATA='$data/etc' EMACSDOC='$data/etc' \\
    EMACSPATH='$programs' LD_LIBRARY_PATH='$(dirname "$(echo "$place"/usr/lib/*/libtree-sitter.so.0)")' \\
    '$place/usr/bin/emacs-nox' --dump-file='$(echo "$programs"/*.pdmp)' "\$@"
WRAPPER
chmod +x "$place/emacs.new"
"$place/emacs.new" --batch --eval '(require (quote eglot))' >/dev/null 2>&1
mv "$place/emacs.new" "$place/emacs" # only now: what was broken off is begun anew
