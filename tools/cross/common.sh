# What the scripts in this folder share; they source it. Not a program.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly TARGET=aarch64-unknown-linux-gnu
readonly BARE=thumbv7em-none-eabihf

# Says what is wrong and what to do, and ends.
fail() {
    printf 'error: %s\nto do: %s\n' "$1" "$2" >&2
    exit 1
}

# The comment at the head of a script is its help.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

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

# Where cargo puts what it builds.
target_folder() { printf '%s\n' "${CARGO_TARGET_DIR:-target}"; }
