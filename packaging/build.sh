#!/usr/bin/env bash
# Builds the Debian packages. docs/packages.md says what is in them and what this needs.
#
#   packaging/build.sh amd64|arm64 [REVISION]
#
# They lie in target/package/debian, with a BUILDINFO beside them. The same commit gives the same bytes in any folder.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }

case ${1:-} in
    amd64) triple=x86_64-unknown-linux-gnu ;;
    # Debian's compiler has the library for the other processor; rustup's knows it as the toolchain deb (docs/target.md).
    arm64) triple=aarch64-unknown-linux-gnu; export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-deb} ;;
    *) usage ;;
esac
arch=$1
revision=${2:-1}
[[ $revision =~ ^[0-9][0-9a-z.]*$ ]] || usage

need() { command -v "$1" >/dev/null || { echo "$1 is not installed: $2" >&2; exit 1; }; }
need cargo-deb "cargo install cargo-deb --version 3.8.0 --locked"
need dpkg-shlibdeps "apt-get install dpkg-dev"
need python3 "apt-get install python3, of at least 3.11"

# Nothing of the machine may get into the packages: no folder, no date, no user, no work that differs from one build to the next.
root=$PWD
cargo_home=${CARGO_HOME:-$HOME/.cargo}
out=$root/target/package
export CARGO_TARGET_DIR=$out CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_STRIP=symbols LC_ALL=C.UTF-8 TZ=UTC
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
export RUSTFLAGS="--remap-path-prefix=$root=/usr/src/nephrobox --remap-path-prefix=$cargo_home=/usr/src/cargo"
export CFLAGS="-ffile-prefix-map=$root=/usr/src/nephrobox -ffile-prefix-map=$cargo_home=/usr/src/cargo"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
umask 022

step() { printf '\n== %s\n' "$*"; }

step "programs for $arch"
cargo build --release --locked --target "$triple" -p nephrobox -p nephroctl
# A program that knows where it was made differs from one that was made elsewhere.
for program in nephrobox nephroctl; do
    if grep -qaF -e "$root" -e "$cargo_home" "$out/$triple/release/$program"; then
        echo "$program holds the path of a folder of this machine" >&2
        exit 1
    fi
done

step "pages, completions, notices"
parts=$out/parts
rm -rf "$parts"
mkdir -p "$parts/lists"
cargo metadata --locked --format-version 1 --filter-platform "$triple" > "$parts/lists/metadata.json"
for program in nephrobox nephroctl; do
    cargo tree --locked --target "$triple" -p "$program" -e normal,no-proc-macro --prefix none --no-dedupe \
        --format $'{p}\t{l}' > "$parts/lists/$program.tree"
done
# On this machine, whatever the programs are for; what it writes does not depend on that.
(
    unset RUSTUP_TOOLCHAIN
    cargo run --release --quiet --locked --target "$(rustc --print host-tuple)" -p nephrobox-packaging -- \
        "$parts" --metadata "$parts/lists/metadata.json" --trees "$parts/lists"
)

step "lists of parts"
python3 tools/sbom.py --out "$parts/sbom" --target "$triple" --programs-only

step "packages"
version=$(cargo pkgid -p nephrobox | sed 's/.*[#@]//')-$revision
debs=$out/debian
# cargo-deb removes other versions of a package from the folder that it writes to.
fresh=$out/fresh
rm -rf "$fresh"
mkdir -p "$debs" "$fresh"
made=()
for program in nephrobox nephroctl; do
    file=$debs/${program}_${version}_${arch}.deb
    # The programs are stripped already, and cargo-deb would build them with settings of its own.
    cargo deb --quiet --no-build --no-strip --locked --target "$triple" -p "$program" --deb-version "$version" --output "$fresh/${file##*/}"
    mv "$fresh/${file##*/}" "$file"
    made+=("$file")
done

# A package for every processor, which cargo-deb does not make.
tree=$out/demo
rm -rf "$tree"
docs=$tree/usr/share/doc/nephrobox-demo
install -d "$tree/DEBIAN" "$docs" "$tree/usr/share/nephrobox/demo/sample"
install -m 644 models/demo-resnet18.nbx "$tree/usr/share/nephrobox/demo/"
install -m 644 models/sample/*.nii.gz "$tree/usr/share/nephrobox/demo/sample/"
install -D -m 644 packaging/debian/nephrobox-demo/lintian-overrides "$tree/usr/share/lintian/overrides/nephrobox-demo"
install -m 644 models/LICENSE.md "$docs/model.md"
install -m 644 packaging/debian/nephrobox-demo/copyright "$docs/"
gzip -9n < packaging/debian/changelog > "$docs/changelog.Debian.gz"
(cd "$tree" && find usr -type f | sort | xargs md5sum > DEBIAN/md5sums)
size=$(du -sk --apparent-size "$tree/usr" | cut -f1)
sed "s/@VERSION@/$version/; s/@SIZE@/$size/" packaging/debian/nephrobox-demo/control > "$tree/DEBIAN/control"
made+=("$debs/nephrobox-demo_${version}_all.deb")
# One thread: more would cut the compressed stream elsewhere.
dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$tree" "${made[2]}" >/dev/null

{
    echo "Commit: $(git rev-parse HEAD)$(git diff --quiet HEAD || echo ', changed')"
    echo "Compiler: $(rustc --version), $(cargo --version)"
    echo "Packager: $(cargo deb --version), dpkg $(dpkg-query -W -f '${Version}' dpkg)"
    echo "Sha256:"
    (cd "$debs" && sha256sum "${made[@]##*/}" | sed 's/^/ /')
} > "$debs/BUILDINFO-$version-$arch"
cat "$debs/BUILDINFO-$version-$arch"
