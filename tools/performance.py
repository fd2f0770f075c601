#!/usr/bin/env python3
"""The table of docs/performance.md: inference by this engine and by others, on the same weights and slices, by turns.

    cargo build --release -p nephrobox
    nephrotrain export onnx --model f32.nbx --out f32.onnx
    python3 tools/performance.py WORK f32.onnx PREPARED --f32 f32.nbx --int8 int8.nbx --python venv/bin/python

PREPARED is a set of `nephrotrain prepare`: ranges of the others' int8 models come from slices of its training patients, the
timed slices are of its test patients. --python has the other engines; how to install them is in tools/peers/engines.py.
Every engine is a process of its own that is stopped (SIGSTOP) while another has its turn. The models made for the others
stay in WORK until network or slices change. Needs Python 3.11 alone, on Linux.

    --write docs/performance.md         puts the table between the lines <!-- table --> and <!-- /table -->

All times and sizes go to WORK/performance.json as well. An error is one sentence, and the status 1.
"""

import argparse
import contextlib
import ctypes
import hashlib
import json
import math
import os
import pathlib
import platform
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENGINES = ROOT / "tools/peers/engines.py"
# Title, name, file of ours or of tools/peers/engines.py; the first of each kind is what the others are compared with.
KINDS = {
    "int8": [
        ("**Nephrobox int8**", "nephrobox-int8"),
        ("ONNX Runtime int8", "ort-int8"),
        ("OpenVINO int8, ONNX Runtime's file", "openvino-int8-ort"),
        ("OpenVINO int8, nncf's file", "openvino-int8-nncf"),
        ("the same, the rest in bf16", "openvino-int8-nncf-bf16"),
    ],
    "f32": [
        ("**Nephrobox f32**", "nephrobox-f32"),
        ("ONNX Runtime f32", "ort-f32"),
        ("OpenVINO f32", "openvino-f32"),
        ("PyTorch f32", "torch-f32"),
    ],
}
TITLES = {name: title.strip("*") for rows in KINDS.values() for title, name in rows}
OPENVINO_INT8 = {
    "openvino-int8-ort": "ONNX Runtime's file",
    "openvino-int8-nncf": "nncf's file",
    "openvino-int8-nncf-bf16": "nncf's file with the rest in bf16",
}
REFERENCE = "ort-f32"
FEATURES = "avx2 avx512f avx512_vnni avx_vnni avx512_bf16 amx_int8 asimddp i8mm".split()
LEAST_RUNS = 20  # of each engine, for a table that is written into the document
PATIENCE = 600  # seconds for one answer
LIBC = ctypes.CDLL(None)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("network", type=pathlib.Path, help="of `nephrotrain export onnx`, with the weights of the packages")
    parser.add_argument("prepared", type=pathlib.Path)
    parser.add_argument("--f32", type=pathlib.Path, metavar="NBX", help="our package with f32 kernels")
    parser.add_argument("--int8", type=pathlib.Path, metavar="NBX", help="our quantised package")
    parser.add_argument("--nephrobox", type=pathlib.Path, default=ROOT / "target/release/nephrobox")
    parser.add_argument("--python", default=sys.executable, help="a Python with the other engines")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=10, help="turns of each engine")
    parser.add_argument("--turn", type=int, default=4, help="timed inferences a turn; one more goes before them, untimed")
    parser.add_argument("--starts", type=int, default=5, help="cold starts of each engine")
    parser.add_argument("--slices", type=int, default=32, help="at most, of test patients: timed and compared")
    parser.add_argument("--calibration", type=int, default=64, help="slices of training patients at most")
    parser.add_argument("--only", nargs="+", metavar="ENGINE", choices=TITLES, help="these alone, of: " + " ".join(TITLES))
    parser.add_argument("--without", nargs="+", metavar="PACKAGE", default=[], help="as if --python lacked these")
    parser.add_argument(
        "--least-agreement",
        type=float,
        metavar="PERCENT",
        default=90.0,
        help="of labelled pixels with ONNX Runtime f32; below it nothing is timed. 0 for random weights",
    )
    parser.add_argument("--write", type=pathlib.Path, metavar="PAGE.md")
    arguments = parser.parse_args()
    numbers = (arguments.rounds, arguments.turn, arguments.starts, arguments.slices, arguments.calibration)
    if min(*arguments.threads, *numbers) < 1:
        raise SystemExit("numbers of threads, rounds, turns, starts and slices begin at 1")
    if arguments.write:
        if arguments.rounds * arguments.turn < LEAST_RUNS:
            raise SystemExit(f"--write wants {LEAST_RUNS} runs at least: --rounds times --turn is fewer")
        between(arguments.write, "")  # rather now than after an hour
    wanted = [arguments.network, arguments.f32, arguments.int8]
    for path in filter(None, [*wanted, arguments.nephrobox if arguments.f32 or arguments.int8 else None]):
        if not path.is_file():
            raise SystemExit(f"{path} is not a file")
    return arguments


# --- slices


def spread(number, count):
    """So many places, or all there are, at equal distances."""
    count = min(number, count)
    return [i * number // count for i in range(count)]


def slices(prepared, part, count):
    """Up to `count` slices of a part's patients, as many of every source, and their rows and columns."""
    try:
        index = json.loads((prepared / "index.json").read_text())
        split = tomllib.loads((prepared / "split.toml").read_text())
    except OSError as e:
        raise SystemExit(f"{prepared} is not a prepared set: {e}")
    size = index["options"]["preprocess"]["rows"], index["options"]["preprocess"]["cols"]
    length = 4 * math.prod(size)
    sources = {}
    for case in index["cases"]:
        for volume in case["volumes"] if case["case"] in split[part] else []:
            path = prepared / "volumes" / f"{case['case']}.{volume['source']}.f32"
            if volume["slices"]:
                places = ((path, i) for i in range(path.stat().st_size // length))
                sources.setdefault(volume["source"], []).extend(places)
    if not sources:
        raise SystemExit(f"{prepared}: the {part} patients have no slices")
    found = bytearray()
    for places in sources.values():
        for i in spread(len(places), max(count // len(sources), 1)):
            path, place = places[i]
            with open(path, "rb") as file:
                file.seek(place * length)
                found += file.read(length)
    return found, size


# --- children


class Child:
    """A process that answers lines; `name` is for messages, and for its log of errors."""

    def __init__(self, name, command, log):
        self.name, self.log = name, log
        # The threads of an engine are what --threads says, whatever the shell has set.
        environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
        with open(log, "wb") as errors:
            self.process = subprocess.Popen(
                [*map(str, command)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                # A stopped process does not notice that nobody asks any more: it dies with this one (PR_SET_PDEATHSIG).
                preexec_fn=lambda: LIBC.prctl(1, signal.SIGKILL),
            )

    def ask(self, line):
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            timer.cancel()
        if not answer:
            why = reason(self.log.read_text(errors="replace")) or f"it ended, or took over {PATIENCE} s, without a word"
            raise SystemExit(f"{self.name} does not answer: {why} (all it said is in {self.log})")
        try:
            return json.loads(answer)
        except ValueError:
            raise SystemExit(f"{self.name} answers {answer[:60]!r}, not JSON")

    def infer(self, count):
        found = self.ask(count)
        if not isinstance(found, list) or len(found) != count or not all(isinstance(t, (int, float)) for t in found):
            raise SystemExit(f"{self.name} answers {str(found)[:60]}, not {count} times in ms")
        return found

    def halt(self):
        """No thread of it spins while others have their turn."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def peak_memory(self):
        """The largest resident memory so far, in MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.resume()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.work = arguments.work.resolve()
        self.folder, self.logs, self.labels = (self.work / name for name in ("models", "logs", "labels"))
        for folder in (self.folder, self.logs, self.labels):
            folder.mkdir(parents=True, exist_ok=True)
        self.test, self.size = self.work / "slices.f32", None
        self.packages = {"nephrobox-int8": arguments.int8, "nephrobox-f32": arguments.f32}
        self.bench_help = ""

    def prepare(self):
        arguments = self.arguments
        calibration = self.work / "calibration.f32"
        for path, part, count in ((calibration, "train", arguments.calibration), (self.test, "test", arguments.slices)):
            found, self.size = slices(arguments.prepared, part, count)
            path.write_bytes(found)
        self.made = self.make(calibration)
        self.made["slices"] = self.test.stat().st_size // (4 * math.prod(self.size))
        if any(self.packages.values()):
            self.bench_help = said([arguments.nephrobox, "bench", "--help"])
            self.made["versions"]["Nephrobox"] = said([arguments.nephrobox, "--version"]).split()[-1]
        there = [*self.made["engines"], *(name for name, package in self.packages.items() if package)]
        self.engines = [name for name in TITLES if name in there and name in (arguments.only or TITLES)]
        for name in sorted(set(TITLES) - set(self.engines)):
            say(f"left out: {TITLES[name]}")
        if not self.engines:
            raise SystemExit("none of the engines asked for is there")

    def make(self, calibration):
        """The others' models, unless they are there already."""
        arguments = self.arguments
        key = hashlib.sha256(ENGINES.read_bytes() + repr((self.size, arguments.python, arguments.without)).encode())
        for path in (arguments.network, calibration):
            key.update(path.read_bytes())
        done = self.folder / "made.json"
        if done.exists():
            made = json.loads(done.read_text())
            if made["key"] == key.hexdigest():
                return made
        done.unlink(missing_ok=True)  # what is killed half-way is made again
        say("making the others' models")
        without = ["--without", *arguments.without] if arguments.without else []
        words = [arguments.python, ENGINES, "make", self.folder, arguments.network, calibration, *self.size, *without]
        log = self.logs / "make.log"
        with open(log, "wb") as errors:
            try:
                out = subprocess.run([*map(str, words)], stdout=subprocess.PIPE, stderr=errors)
            except OSError as e:
                raise SystemExit(f"--python {arguments.python} does not start: {e}")
        if out.returncode:
            why = reason(log.read_text(errors="replace"))
            raise SystemExit(f"the others' models cannot be made: {why} (more in {log})")
        made = {**json.loads(out.stdout.splitlines()[-1]), "key": key.hexdigest()}
        done.write_text(json.dumps(made))
        return made

    def child(self, name, threads):
        arguments = self.arguments
        if name in self.packages:
            command = [arguments.nephrobox, "bench", self.packages[name], "--threads", threads, "--pipe"]
            command += ["--slices", self.test] if "--slices" in self.bench_help else []
        else:
            command = [arguments.python, ENGINES, "run", name, self.folder, self.test, *self.size, "--threads", threads]
        return Child(f"{TITLES[name]} with {many(threads)}", command, self.logs / f"{name}-{threads}.log")

    def label_maps(self, name):
        """The label maps of all slices, one byte a pixel; nothing where our engine cannot write them."""
        out = self.labels / f"{name}.u8"
        out.unlink(missing_ok=True)
        if name not in self.packages:
            with self.child(name, 1) as child:
                child.ask(f"labels {out}")
        elif "--labels" in self.bench_help and "--slices" in self.bench_help:
            files = ["--slices", self.test, "--labels", out]
            said([self.arguments.nephrobox, "bench", self.packages[name], "--threads", 1, *files])
        else:
            return None
        found = out.read_bytes()
        if 4 * len(found) != self.test.stat().st_size:
            raise SystemExit(f"{TITLES[name]} wrote {len(found)} labels for {self.test.stat().st_size // 4} pixels")
        return found

    def agreement(self):
        """Percent of pixels with the same label as ONNX Runtime f32 gives: of all, and of those that either calls kidney or
        tumour, because a network that outlines nothing agrees on almost all of them."""
        reference, found = self.label_maps(REFERENCE), {}
        for name in self.engines:
            maps = reference if name == REFERENCE else self.label_maps(name)
            if maps is None:
                say(f"{TITLES[name]}: `nephrobox bench` has no --slices and --labels, so its label maps are not compared")
                continue
            same = sum(a == b for a, b in zip(reference, maps))
            labelled = sum(a > 0 or b > 0 for a, b in zip(reference, maps))
            same_labelled = sum(a == b > 0 for a, b in zip(reference, maps))
            if not labelled:
                raise SystemExit("ONNX Runtime f32 outlines nothing on these slices: agreement on them would say nothing")
            found[name] = 100 * same / len(maps), 100 * same_labelled / labelled
            of_all, of_labelled = found[name]
            say(f"{TITLES[name]}: labels as ONNX Runtime f32: {of_all:.3f} %, of labelled pixels {of_labelled:.2f} %")
        for name, (_, labelled) in found.items():
            if labelled < self.arguments.least_agreement:
                least = f"{self.arguments.least_agreement:g} % or more"
                raise SystemExit(f"{TITLES[name]} is broken: it agrees on {labelled:.1f} % of labelled pixels, not {least}")
        return found

    def starts(self):
        """Cold starts and memory, each engine alone; at the largest number of threads."""
        threads = max(self.arguments.threads)
        found = {name: {"cold_ms": [], "peak_mib": [], "about": []} for name in self.engines}
        for turn in range(self.arguments.starts):
            say(f"start {turn + 1} of {self.arguments.starts}, {many(threads)}")
            for name in self.engines:
                start = time.perf_counter()
                with self.child(name, threads) as child:
                    child.infer(1)
                    found[name]["cold_ms"].append(1e3 * (time.perf_counter() - start))
                    child.infer(9)
                    found[name]["peak_mib"].append(child.peak_memory())
                    if name not in self.packages:
                        found[name]["about"].append(child.ask("about"))
        return found

    def times(self, threads):
        """Milliseconds of every engine, and the share of the processors that went into anything else meanwhile."""
        arguments, found = self.arguments, {name: [] for name in self.engines}
        with contextlib.ExitStack() as stack:
            children = {}
            for name in self.engines:
                children[name] = stack.enter_context(self.child(name, threads))
                children[name].infer(3)
                children[name].halt()
            pids = [os.getpid(), *(child.process.pid for child in children.values())]
            before = ticks(pids)
            for turn in range(arguments.rounds):
                say(f"{many(threads)}, turn {turn + 1} of {arguments.rounds}")
                # In another order each time, so that nobody always follows the same neighbour.
                for name in random.Random(turn).sample(self.engines, len(self.engines)):
                    children[name].resume()
                    found[name] += children[name].infer(1 + arguments.turn)[1:]
                    children[name].halt()
            after = ticks(pids)
        everything, busy, own = (b - a for a, b in zip(before, after))
        return found, max(busy - own, 0) / max(everything, 1)


def ticks(pids):
    """Ticks of all processors together, of those the busy ones, and of those our own."""
    counts = [int(n) for n in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    own = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own += int(fields[11]) + int(fields[12])
    return sum(counts), sum(counts) - counts[3] - counts[4], own


def said(command):
    try:
        out = subprocess.run([*map(str, command)], capture_output=True, text=True)
    except OSError as e:
        raise SystemExit(f"{command[0]} does not start: {e}")
    if out.returncode:
        raise SystemExit(f"`{' '.join(map(str, command))}` fails: {reason(out.stderr)}")
    return out.stdout


def reason(errors):
    """The line of a program's errors that says most: Rust's first, or the last."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("error: ")), lines[-1] if lines else "")


def many(number, what="thread"):
    return f"{number} {what}{'s' if int(number) > 1 else ''}"


def say(words):
    print(words, file=sys.stderr, flush=True)


# --- the table


def pair(values, digits=1):
    return f"{min(values):.{digits}f} / {statistics.median(values):.{digits}f}"


def ratio(values, ours):
    """How many times ours: of the least, and of the median."""
    if not ours:
        return ""
    return f"{min(values) / min(ours):.2f} / {statistics.median(values) / statistics.median(ours):.2f}"


def lines_of(head, rows):
    return [f"| {' | '.join(cells)} |".replace("  |", " |") for cells in [head, ["---"] * len(head), *rows]]


def machine():
    """The processor's name, how many of them this process may use, and what it can compute with."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.M)
    has = [feature for feature in FEATURES if flags and feature in flags[1].split()]
    name = name[1] if name else platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} processors ({', '.join(has) or 'no known vector extensions'})"


def speed_rows(result):
    rows = []
    for kind in KINDS.values():
        ours = kind[0][1]
        for title, name in kind:
            cells = [title]
            for times in result["times"].values():
                if name in times:
                    cells += [pair(times[name]), "" if name == ours else ratio(times[name], times.get(ours))]
            if len(cells) > 1:
                rows.append(cells)
    return rows


def start_rows(result):
    rows = []
    for kind in KINDS.values():
        ours = result["starts"].get(kind[0][1])
        for title, name in kind:
            if name not in result["starts"]:
                continue
            found = result["starts"][name]
            # Python and its imports are nobody's merit or fault: ours is compared with what comes after them.
            inside = [about["first_label_map_ms"] for about in found["about"]]
            before = [about["memory_before_mib"] for about in found["about"]]
            other = ours and ours is not found
            agreement = result["agreement"].get(name)
            rows.append(
                [
                    title,
                    f"{statistics.median(found['peak_mib']):.0f}",
                    f"{statistics.median(before):.0f}" if before else "",
                    f"{statistics.median(found['peak_mib']) / statistics.median(ours['peak_mib']):.2f}" if other else "",
                    pair(found["cold_ms"], 0),
                    pair(inside, 0) if inside else "",
                    ratio(inside, ours["cold_ms"]) if other else "",
                    *(f"{percent:.2f}" for percent in agreement or ()),
                    *([] if agreement else ["", ""]),
                ]
            )
    return rows


def table(result):
    names = {"Nephrobox": "Nephrobox", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
    names |= {"nncf": "nncf", "torch": "PyTorch"}
    versions = result["made"]["versions"]
    rows, cols = result["size"]
    busy = ", ".join(f"{100 * share:.0f} % at {many(n)}" for n, share in result["other_work"].items())
    made = result["made"]
    lines = [
        f"{result['machine']}. {', '.join(f'{title} {versions[key]}' for key, title in names.items() if key in versions)}.",
        f"Network `{result['network']}`, {rows} x {cols}, {result['runs']} inferences of one slice by each engine; "
        f"{made['calibration']} slices for the others' ranges, {made['slices']} for times and labels.",
        f"Other work took this share of the processors while times were taken: {busy}.",
        "",
    ]
    head = ["one slice, least / median"]
    for n in result["times"]:
        head += [f"{many(n)}, ms", "times ours"]
    lines += lines_of(head, speed_rows(result))
    for n, times in result["times"].items():
        candidates = {name: min(times[name]) for name in OPENVINO_INT8 if name in times}
        if candidates:
            best = min(candidates, key=candidates.get)
            lines += ["", f"The fastest OpenVINO int8 at {many(n)} is {OPENVINO_INT8[best]}: {candidates[best]:.1f} ms."]
    head = ["", "peak memory, MiB", "of it before loading", "times ours"]
    head += ["cold start, ms", "of it after imports, ms", "times ours"]
    head += ["labels as ONNX Runtime f32, %", "labelled pixels, %"]
    how = f"{many(result['start_threads'])}, {many(result['start_count'], 'start')}"
    lines += ["", f"Memory and start, {how}; times least / median:", ""]
    return "\n".join(lines + lines_of(head, start_rows(result)))


def between(page, text):
    """The page with this between its two markers."""
    try:
        before, found, rest = page.read_text().partition("<!-- table -->\n")
    except OSError as e:
        raise SystemExit(f"{page} cannot be read: {e}")
    _, end, after = rest.partition("<!-- /table -->")
    if not found or not end or "<!-- table -->" in after:
        raise SystemExit(f"{page} must have the lines <!-- table --> and <!-- /table --> once, in this order")
    return f"{before}{found}\n{text}\n\n{end}{after}"


def main():
    arguments = parse()
    bench = Bench(arguments)
    bench.prepare()
    result = {
        "machine": machine(),
        "network": arguments.network.name,
        "size": bench.size,
        "runs": arguments.rounds * arguments.turn,
        "made": bench.made,
        "start_threads": max(arguments.threads),
        "start_count": arguments.starts,
        "agreement": bench.agreement(),
        "starts": bench.starts(),
        "times": {},
        "other_work": {},
    }
    for threads in arguments.threads:
        result["times"][threads], result["other_work"][threads] = bench.times(threads)
    (bench.work / "performance.json").write_text(json.dumps(result) + "\n")
    text = table(result)
    print(text)
    if arguments.write:
        arguments.write.write_text(between(arguments.write, text))


if __name__ == "__main__":
    main()
