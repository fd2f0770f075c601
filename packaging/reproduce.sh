#!/usr/bin/env bash
# Builds the packages of this commit a second time, from a clone in another folder, and compares them byte for byte.
#
#   packaging/build.sh amd64 && packaging/reproduce.sh amd64 [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1-} in
    amd64 | arm64) arch=$1 ;;
    *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
folder=${2:-$(mktemp -d)/elsewhere}
first=$PWD/target/package/debian
git diff --quiet HEAD || { echo "there are changes that are in no commit, and a clone will not have" >&2; exit 1; }
[ -d "$folder" ] || git clone --quiet --no-hardlinks . "$folder"
git -C "$folder" checkout --quiet --detach "$(git rev-parse HEAD)"
"$folder/packaging/build.sh" "$arch" > "$folder/build.log" 2>&1 || { tail "$folder/build.log" >&2; exit 1; }

same=0
for second in "$folder"/target/package/debian/*.deb; do
    if cmp "$first/$(basename "$second")" "$second"; then
        echo "equal: $(sha256sum "$second" | cut -c 1-64)  $(basename "$second")"
    else
        same=1
    fi
done
exit $same
