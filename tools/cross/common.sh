# shellcheck shell=bash disable=SC2034 # what is set here, the scripts use
# What the scripts in this folder share; they source it. Not a program.

set -euo pipefail
SCRIPT=$(realpath "$0")
readonly SCRIPT
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly TARGET=aarch64-unknown-linux-gnu
readonly BARE=thumbv7em-none-eabihf

# What these scripts build, always named together: cargo then chooses the same features each time, and builds what they share once.
readonly PACKAGES=(-p nephrobox -p nephroctl -p nephrobox-engine -p nephrobox-shared)

# Says what is wrong and what to do, and ends.
fail() {
    printf 'error: %s\nto do: %s\n' "$1" "$2" >&2
    exit 1
}

# The comment at the head of a script is its help.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$SCRIPT"; }

case ${1-} in
    -h | --help)
        usage
        exit 0
        ;;
esac

# need PROGRAM...: ends unless all are there.
need() {
    local program
    for program; do
        command -v "$program" >/dev/null || fail "$program is not installed" "tools/cross/setup.sh"
    done
}

# Whether the compiler that `rustc ARGUMENTS` starts has the standard library of a target.
has_target() {
    local target=$1 folder
    shift
    folder=$(rustc "$@" --print target-libdir --target "$target" 2>/dev/null) && compgen -G "$folder/libcore-*" >/dev/null
}

# Puts into CARGO the cargo that can build for the target: that of the project if rustup could fetch it (`rustup target add`), else
# Debian's, which setup.sh has linked as the toolchain `deb`.
choose_cargo() {
    if has_target "$TARGET"; then
        CARGO=(cargo)
    elif has_target "$TARGET" +deb; then
        CARGO=(cargo +deb)
    else
        fail "no Rust compiler here has the standard library for $TARGET" \
            "tools/cross/setup.sh, or with a network: rustup target add $TARGET"
    fi
}

# for_target build|test ARGUMENTS...: builds or tests PACKAGES for aarch64 as they are delivered.
for_target() { "${CARGO[@]}" "$1" --release --locked --target "$TARGET" "${PACKAGES[@]}" "${@:2}"; }

# Where cargo puts what it builds: for this machine, and for aarch64.
readonly HERE=${CARGO_TARGET_DIR:-target}/release
readonly THERE=${CARGO_TARGET_DIR:-target}/$TARGET/release
# Where the scripts put what they find.
readonly FOUND=${CARGO_TARGET_DIR:-target}/cross
