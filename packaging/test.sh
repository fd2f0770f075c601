#!/usr/bin/env bash
# Installs, uses, upgrades, removes and purges the packages in a clean Debian. Needs root, debootstrap, and both revisions built:
#
#   packaging/build.sh amd64 && packaging/build.sh amd64 2 && packaging/test.sh amd64
#   packaging/build.sh arm64 && packaging/test.sh arm64    (after amd64: installed, and a scan segmented under qemu)
#
# Everything lies in target/package-test; nothing is installed on this machine. docs/packages.md has what came out.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=${1:-}
case $arch in amd64 | arm64) ;; *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac
[ "$(id -u)" = 0 ] || { echo "root is needed, for chroot" >&2; exit 1; }
. packaging/tree.sh
logs=$PWD/target/package-test
mkdir -p "$logs"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
debs=target/package/debian
count=0

step() { printf '\n== %s\n' "$*"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    [ -f "$logs/said" ] && tail -n 30 "$logs/said" >&2
    [ -n "${init:-}" ] && inside journalctl -q --no-pager -n 20 -u nephrobox >&2 2> /dev/null || true
    exit 1
}
# check SENTENCE COMMAND...: the command succeeds.
check() {
    local sentence=$1
    shift
    "$@" > "$logs/said" 2>&1 || fail "$sentence: $*"
    count=$((count + 1))
    printf 'ok %3d - %s\n' "$count" "$sentence"
}
# says SENTENCE TEXT COMMAND...: the command succeeds and its output holds the text.
says() {
    local sentence=$1 text=$2
    shift 2
    check "$sentence" "$@"
    grep -qF -e "$text" "$logs/said" || fail "$sentence: \"$text\" is not in the output of $*"
}
# silent SENTENCE COMMAND...: the command succeeds and has nothing to say.
silent() {
    check "$@"
    [ ! -s "$logs/said" ] || fail "$1: it says something"
}
equal() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }
gone() { [ ! -e "$tree/$1" ] && [ ! -L "$tree/$1" ]; }
# Asks for some minutes; a loaded machine is slow.
until_true() { local tries=0; until "$@"; do tries=$((tries + 1)); [ $tries -lt 900 ] || return 1; sleep 0.2; done; }

deb() { echo "$debs/$1_$version-${2}_${3:-$arch}.deb"; }
bring() { # Copies packages into the tree.
    rm -rf "$tree/root/debs"
    mkdir -p "$tree/root/debs"
    cp "$@" "$tree/root/debs/"
}

lint() {
    local package
    for package in "$@"; do
        [ -s "$package" ] || { echo "$package is not there: packaging/build.sh makes it" >&2; exit 1; }
    done
    step "lintian"
    if ! command -v lintian >/dev/null; then
        echo "SKIPPED: lintian is not installed"
        return
    fi
    lintian --allow-root --info --display-info --tag-display-limit 0 "$@" > "$logs/lintian-$arch.txt" 2>&1 || true
    grep -E '^[EWI]: ' "$logs/lintian-$arch.txt" || echo "nothing to say"
    check "lintian finds no error and warns of nothing" eval "! grep -qE '^[EW]: ' '$logs/lintian-$arch.txt'"
}

unit=usr/lib/systemd/system/nephrobox.service
unit_is() { [ "$(inside systemctl "$1" nephrobox.service 2> /dev/null)" = "$2" ]; }
box_pid() { inside systemctl show -P MainPID nephrobox.service; }
restarted() { [ "$(box_pid)" != "$1" ] && [ "$(box_pid)" != 0 ] && unit_is is-active active; }
# The slots, without how the model came to be in use: by a flash, later by a start.
models() { inside nephroctl slots | grep -v '^last installation'; }
# The cable, with what the udev rule gives the gadget's port: group dialout, 0660. Called again, another one.
plug() {
    inside sh -c '[ ! -f /run/cable ] || kill "$(cat /run/cable)"; rm -f /dev/ttyGS0 /dev/ttyCable'
    inside sh -c 'echo $$ > /run/cable; exec socat pty,raw,echo=0,link=/dev/ttyGS0,group=dialout,mode=660 pty,raw,echo=0,link=/dev/ttyCable' &
    check "the cable is there" until_true inside test -e /dev/ttyCable
}
answers() { check "the box answers on the cable" until_true inside nephroctl status --patience 1; }

amd64() {
    lint "$(deb nephrobox 1)" "$(deb nephroctl 1)" "$(deb nephrobox-demo 1 all)"

    step "install"
    make_tree
    boot_tree
    bring "$(deb nephrobox 1)" "$(deb nephroctl 1)" "$(deb nephrobox-demo 1 all)"
    check "the packages install" inside sh -c 'dpkg -i /root/debs/*.deb'
    silent "nothing is half installed" inside dpkg --audit
    silent "files are as they were packed" inside dpkg --verify nephrobox nephroctl nephrobox-demo
    says "the service's user has no shell" ":/var/lib/nephrobox:/usr/sbin/nologin" inside getent passwd nephrobox
    check "the configuration is root's and the box may read it" equal "$(inside stat -c '%a %U:%G' /etc/nephrobox/nephrobox.toml)" "640 root:nephrobox"
    check "so is its folder" equal "$(inside stat -c '%a %U:%G' /etc/nephrobox)" "750 root:nephrobox"
    check "the service is not enabled" unit_is is-enabled disabled
    check "and not started" unit_is is-active inactive
    silent "systemd has nothing against the unit" inside systemd-analyze verify --man=no "/$unit"
    inside systemd-analyze security --offline=true "/$unit" > "$logs/security.txt" 2>/dev/null || true
    tail -n 1 "$logs/security.txt"
    for file in usr/share/man/man1/nephrobox-segment.1.gz usr/share/man/man5/nephrobox.toml.5.gz usr/share/man/man1/nephroctl-send.1.gz \
        usr/share/bash-completion/completions/nephrobox usr/share/zsh/vendor-completions/_nephroctl \
        usr/share/fish/vendor_completions.d/nephroctl.fish usr/lib/udev/rules.d/70-nephrobox.rules usr/share/doc/nephrobox/third-party-notices \
        usr/share/doc/nephrobox/nephrobox.cdx.json usr/share/doc/nephroctl/nephroctl.cdx.json; do
        check "$file is there" test -s "$tree/$file"
    done
    says "the box tells its version" "nephrobox $version" inside nephrobox --version
    says "the tools tell theirs" "nephroctl $version" inside nephroctl --version

    step "set up as the guide says"
    inside mkdir -m 700 /root/trial
    inside sh -c 'cd /root/trial && nephroctl keygen clinic' > "$logs/key"
    inside sed -i -e 's/^#\[serial\]/[serial]/' -e 's|^#device = "/dev/ttyGS0"|device = "/dev/ttyGS0"|' \
        -e "s|^#trusted_keys = .*|$(grep trusted_keys "$logs/key")|" /etc/nephrobox/nephrobox.toml
    edited=$(sha256sum < "$tree/etc/nephrobox/nephrobox.toml")
    plug
    check "the configuration has no mistake" inside nephrobox config check /etc/nephrobox/nephrobox.toml
    check "the service is enabled, starts and says that it is ready" inside systemctl enable --now nephrobox
    check "it runs as its user" equal "$(inside stat -c %U "/proc/$(box_pid)")" nephrobox
    answers

    step "the demonstration"
    inside sh -c 'cd /root/trial && nephroctl sign /usr/share/nephrobox/demo/demo-resnet18.nbx --key clinic.secret --out demo.nbx' > "$logs/said" 2>&1 || fail sign
    check "the model is flashed and passes its self-test on the box" inside nephroctl flash /root/trial/demo.nbx --verify-key /root/trial/clinic.public
    check "a scan goes there and its results come back" inside nephroctl send /usr/share/nephrobox/demo/sample/imaging.nii.gz --out /root/trial/results
    for file in report.json report.txt report.pdf report.png labels.nii.gz; do
        check "the results hold $file" test -s "$tree/root/trial/results/$file"
    done
    says "the report is for research use" "esearch use only" inside cat /root/trial/results/report.txt
    says "its outlines are good" "kidney" inside nephroctl score /root/trial/results/labels.nii.gz --truth /usr/share/nephrobox/demo/sample/segmentation.nii.gz
    grep -iE '^ *(kidney|tumour)' "$logs/said" || true
    scan=$(inside nephroctl scans --json | sed -n 's/.*"id": *"\([0-9a-f-]*\)".*/\1/p' | head -n 1)
    [ -n "$scan" ] || fail "no scan is listed"
    models > "$logs/slots-before"

    step "upgrade, with the box running"
    before=$(box_pid)
    bring "$(deb nephrobox 2)" "$(deb nephroctl 2)" "$(deb nephrobox-demo 2 all)"
    check "the next revision installs over it" inside sh -c 'dpkg -i /root/debs/*.deb'
    says "it is the next revision" "$version-2" inside dpkg-query -W nephrobox
    check "the edited configuration is as it was" equal "$(sha256sum < "$tree/etc/nephrobox/nephrobox.toml")" "$edited"
    check "and the box may still read it" equal "$(inside stat -c '%a %U:%G' /etc/nephrobox/nephrobox.toml)" "640 root:nephrobox"
    check "the service was restarted, and is ready" restarted "$before"
    check "and is still enabled" unit_is is-enabled enabled
    answers
    before=$(box_pid)
    inside systemctl kill --signal KILL nephrobox
    check "killed, it is started again by systemd" until_true restarted "$before"
    # A port forgets with its last close that the killed box had it alone. A pseudo-terminal does not, as its other end is open.
    plug
    answers
    says "the scan is still there" "$scan" inside nephroctl scans
    check "its results can be fetched" inside nephroctl fetch "$scan" --out /root/trial/again
    check "they are the same label map" cmp "$tree/root/trial/results/labels.nii.gz" "$tree/root/trial/again/labels.nii.gz"
    models > "$logs/slots-after"
    check "the models are in their slots" cmp "$logs/slots-before" "$logs/slots-after"
    check "the audit log is whole" inside nephroctl audit --verify

    step "remove"
    check "the package is removed" inside dpkg -r nephrobox
    check "the box was stopped" unit_is is-active inactive
    check "the program is gone" gone usr/bin/nephrobox
    check "the unit is gone" gone $unit
    check "the configuration stays" equal "$(sha256sum < "$tree/etc/nephrobox/nephrobox.toml")" "$edited"
    check "the scan stays" test -d "$tree/var/lib/nephrobox/spool/done/$scan"

    step "purge"
    says "purging says that there are scans" "scans or results of patients are in /var/lib/nephrobox, so it stays" inside dpkg -P nephrobox
    check "the configuration is gone" gone etc/nephrobox/nephrobox.toml
    check "the scan is not" test -d "$tree/var/lib/nephrobox/spool/done/$scan"
    check "the package comes back" inside dpkg -i "/root/debs/$(basename "$(deb nephrobox 2)")"
    check "the scan is erased" inside setpriv --reuid nephrobox --regid nephrobox --clear-groups nephrobox erase "$scan"
    check "purged again" inside dpkg -P nephrobox nephroctl nephrobox-demo
    check "nothing of the box is left" gone var/lib/nephrobox
    check "nor of its configuration" gone etc/nephrobox
    silent "nor of the packages" inside find / -xdev -name "*nephro*" -not -path "/root/*" -print
    cp "$tree/root/trial/results/labels.nii.gz" "$logs/labels-amd64.nii.gz"
}

arm64() {
    lint "$(deb nephrobox 1)" "$(deb nephroctl 1)"
    step "install"
    make_tree
    boot_tree
    bring "$(deb nephrobox 1)" "$(deb nephroctl 1)" "$(deb nephrobox-demo 1 all)"
    inside dpkg --add-architecture arm64
    # The tree's own programs are for this processor: they run the package's scripts. Its libraries are not there for the other one.
    check "the packages install" inside sh -c 'dpkg -i --force-depends /root/debs/*.deb'
    silent "files are as they were packed" inside dpkg --verify nephrobox nephroctl nephrobox-demo
    says "the program is for the other processor" "arm64" inside dpkg-query -W -f '${Architecture}' nephrobox:arm64
    run_arm64
    step "remove"
    check "removed and purged" inside dpkg -P nephrobox nephroctl nephrobox-demo
}

run_arm64() {
    step "run"
    if ! command -v qemu-aarch64 >/dev/null || [ ! -e /lib/aarch64-linux-gnu/libc.so.6 ]; then
        echo "SKIPPED: qemu-aarch64 or libc6:arm64 is not installed"
        return
    fi
    demo=$tree/usr/share/nephrobox/demo
    says "the program runs" "nephrobox $version" qemu-aarch64 "$tree/usr/bin/nephrobox" --version
    says "the tools run" "nephroctl $version" qemu-aarch64 "$tree/usr/bin/nephroctl" --version
    check "the demonstration scan is segmented" timeout 1200 qemu-aarch64 "$tree/usr/bin/nephrobox" segment "$demo/sample/imaging.nii.gz" \
        --model "$demo/demo-resnet18.nbx" --out "$logs/results-arm64" --force
    if [ -f "$logs/labels-amd64.nii.gz" ]; then
        check "every voxel is labelled as on amd64" eval "cmp <(zcat $logs/labels-amd64.nii.gz) <(zcat $logs/results-arm64/labels.nii.gz)"
    else
        echo "SKIPPED: packaging/test.sh amd64 was not run, there is nothing to compare with"
    fi
}

"$arch"
printf '\n%d checks passed\n' "$count"
