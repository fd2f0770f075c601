#!/usr/bin/env bash
# Fuzzes each target in turn, and says how far it came.
#
#     fuzz/run.sh [-j JOBS] [-s SHARED] [-t TOTAL] SECONDS [TARGET ...]
#
# SECONDS of each target (of all, if none is named), JOBS targets at a time (1). With TOTAL it goes on, SECONDS at a time and the target that had the
# least first, until each had so many seconds of CPU in all runs together; broken off and begun again, it goes on from there. For an hour of each:
#
#     fuzz/run.sh -j 2 -t 3600 300
#
# Corpora are in fuzz/corpus and grow from run to run; they begin with the seeds of tests/parsers/examples/seeds, and with real files found below the
# folder SHARED. An input that a target does not survive is kept in fuzz/artifacts, and belongs into tests/parsers/fixtures/TARGET/ once it is mended.
# Each run adds a line to fuzz/corpus/runs.tsv: target, seconds of CPU, executions, coverage (edges of all that is compiled in), size of the corpus,
# outcome. At the end all runs together are printed; with 0 SECONDS, only that.
#
# Needs a nightly compiler and cargo-fuzz (`cargo install cargo-fuzz`). NIGHTLY names the toolchain.
set -euo pipefail
cd "$(dirname "$0")/.."

# The comment above is the help.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

jobs=1 shared= total=
while getopts j:s:t: option; do
    case $option in
        j) jobs=$OPTARG ;;
        s) shared=$OPTARG ;;
        t) total=$OPTARG ;;
        *) usage; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || { usage; exit 2; }
seconds=$1
shift
nightly=${NIGHTLY:-nightly}

targets=("$@")
if [ $# -eq 0 ]; then
    mapfile -t targets < <(sed -n 's/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml | tail -n +2)
fi

# The features that a target needs, as fuzz/Cargo.toml has them.
features() { sed -n "/^name = \"$1\"/,/^\$/s/^required-features = \[\"\(.*\)\"\]/\1/p" fuzz/Cargo.toml; }

one() {
    local target=$1 program log
    program=fuzz/target/x86_64-unknown-linux-gnu/release/$target
    log=fuzz/corpus/$target.log
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    local outcome=clean
    # A thread of a server that is just beginning looks like a leak, and one that is just ending does (fuzz/leaks.txt).
    TIMEFORMAT='%U %S'
    {
        time TMPDIR=${FUZZ_TMPDIR:-/dev/shm} LSAN_OPTIONS=suppressions=$PWD/fuzz/leaks.txt:print_suppressions=0 \
            "$program" "fuzz/corpus/$target" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=4096 -max_len=65536 -detect_leaks=0 \
            -print_final_stats=1 -artifact_prefix="fuzz/artifacts/$target/" >"$log" 2>&1
    } 2>"$log.time" || outcome=found
    local cpu executions coverage corpus
    cpu=$(awk '{ printf "%d", $1 + $2 }' "$log.time")
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    # A target that falls over its first input has not counted any.
    coverage=$({ grep -o 'cov: [0-9]*' "$log" || true; } | tail -1 | cut -d' ' -f2)
    corpus=$(find "fuzz/corpus/$target" -type f | wc -l)
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$target" "$cpu" "${executions:-0}" "${coverage:-0}" "$corpus" "$outcome" | tee -a fuzz/corpus/runs.tsv
    [ $outcome = clean ]
}

# The targets at work, and their processes.
declare -A running=() fallen=()
begin() {
    one "$1" &
    running[$1]=$!
}
finish() {
    local ended target outcome=0
    wait -n -p ended || outcome=$?
    for target in "${!running[@]}"; do
        [ "${running[$target]}" = "$ended" ] || continue
        unset "running[$target]"
        [ $outcome -eq 0 ] || fallen[$target]=yes
    done
}

# Of the targets that had less than TOTAL seconds of CPU, the one that had the least; nothing if there is none. Not one that is at work, nor one that
# has just fallen: it would fall again.
least() {
    touch fuzz/corpus/runs.tsv
    for target in "${targets[@]}"; do
        [ -n "${running[$target]-}${fallen[$target]-}" ] ||
            awk -F'\t' -v target="$target" -v total="$total" '$1 == target { cpu += $2 } END { if (cpu < total) print cpu + 0, target }' fuzz/corpus/runs.tsv
    done | sort -n | head -n1 | cut -d' ' -f2
}

if [ "$seconds" -gt 0 ]; then
    command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is not here; run: cargo install cargo-fuzz"; exit 1; }
    [ -d fuzz/corpus ] || cargo run --quiet -p nephrobox-parsers --no-default-features --features engine --example seeds -- fuzz/corpus ${shared:+"$shared"}
    for target in "${targets[@]}"; do
        wanted=$(features "$target")
        (cd fuzz && cargo "+$nightly" fuzz build ${wanted:+--features "$wanted"} "$target" 2>&1 | tail -1)
    done
    if [ -n "$total" ]; then
        while target=$(least); [ -n "$target" ] || [ ${#running[@]} -gt 0 ]; do
            [ -n "$target" ] && begin "$target"
            [ -n "$target" ] && [ ${#running[@]} -lt "$jobs" ] || finish
        done
    else
        for target in "${targets[@]}"; do
            begin "$target"
            [ ${#running[@]} -lt "$jobs" ] || finish
        done
        while [ ${#running[@]} -gt 0 ]; do finish; done
    fi
fi
[ -f fuzz/corpus/runs.tsv ] || { echo "nothing has been fuzzed here yet"; exit 1; }
echo
echo "| target | CPU hours | executions | edges | corpus | found |"
echo "| --- | ---: | ---: | ---: | ---: | --- |"
awk -F'\t' '{ cpu[$1] += $2; runs[$1] += $3; if ($4 > edges[$1]) edges[$1] = $4; corpus[$1] = $5; if ($6 != "clean") found[$1] = "yes" }
    END { for (t in cpu) printf "| %s | %.2f | %d | %d | %d | %s |\n", t, cpu[t] / 3600, runs[t], edges[t], corpus[t], found[t] ? found[t] : "" }' \
    fuzz/corpus/runs.tsv | sort
[ ${#fallen[@]} -eq 0 ]
