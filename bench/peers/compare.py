#!/usr/bin/env python3
"""Compares entropix with other programs on one model file: prefill, decode, and decode after many positions.

Each round runs every program once for each test, one after the other (A B C, A B C, ...), so that a machine whose speed
drifts is unfair to nobody. Results are medians over rounds; a ratio is the median of the ratios within rounds.

Peers: llama.cpp as the npm package node-llama-cpp, installed into a temporary folder (--no-npm leaves it out), and any
program with the options and the JSON of llama-bench (--peer NAME=COMMAND).
"""
import argparse
import csv
import datetime
import json
import os
import platform
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NODE_LLAMA_CPP = "3.22.1"
NPM_NAME = "llama.cpp (npm)"
FILE_TYPES = {14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M"}  # names of mixtures: general.file_type
COLUMNS = ["date", "machine", "threads", "model", "type", "test", "program", "version", "rounds", "tokens_per_second",
           "lowest", "highest", "entropix_ratio", "limit", "gigabytes_per_second", "notes"]


class Failure(Exception):
    pass


def run(command, timeout, **options):
    """Standard output of a command; whatever it started is gone afterwards."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, start_new_session=True, **options)
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failure(f"{command[0]}: no result after {timeout} s")
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    if process.returncode != 0:
        raise Failure(f"{shlex.join(command)}: status {process.returncode}\n{errors.strip()[-1500:]}")
    return out


def parse_json(text):
    """Some builds print warnings between the lines of their JSON."""
    return json.loads("\n".join(line for line in text.splitlines() if line.strip()[:1] in tuple('[]{}"')))


class Test:
    def __init__(self, n_prompt, n_generate, depth):
        self.n_prompt, self.n_generate, self.depth = n_prompt, n_generate, depth

    def names(self):
        at = f" after {self.depth}" if self.depth else ""
        prefill = [f"prefill {self.n_prompt}"] if not self.depth else []
        return prefill + [f"decode {self.n_generate}{at}"]


class Entropix:
    """Its decode has the attention statistics on, and one sampling step is added to each token."""
    name = "entropix"
    notes = "metrics and sampling included"

    def __init__(self, model, arguments):
        self.command = [arguments.entropix, "bench", "-m", model, "-t", str(arguments.threads), "--json", "-r", "1"]
        self.cache = arguments.entropix_options
        self.timeout = arguments.timeout
        self.version, self.last = "", {}

    def measure(self, test):
        # After many positions prefill is not asked for, and costs least with few tokens.
        n_prompt = test.n_prompt if not test.depth else 16
        out = run(self.command + ["-p", str(n_prompt), "-n", str(test.n_generate), "-d", str(test.depth)] + self.cache,
                  self.timeout)
        result = json.loads(out)
        decode = result["decode"]
        self.version = result["version"].split()[0]
        self.last = result
        seconds = 1 / decode["tokens_per_second_mean"] + result["sampling"]["microseconds"] / 1e6
        rates = [1 / seconds]
        return rates if test.depth else [result["prefill"]["tokens_per_second"]] + rates

    def limits(self, test):
        """What the machine allows, from the measurement of the same moment: bytes for decode, products for prefill."""
        memory = self.last["memory"]["read_bytes_per_second"] / self.last["decode"]["bytes_per_token"]
        return [memory] if test.depth else [self.last["prefill"].get("limit_tokens_per_second"), memory]

    def gigabytes_per_second(self):
        return self.last["memory"]["read_bytes_per_second"] / 1e9


class LlamaBench:
    """llama-bench, or what has its options and output."""
    def __init__(self, name, command, model, arguments, help_text=None):
        self.name, _, self.given_version = name.partition("@")
        self.command = command
        self.common = ["-m", model, "-t", str(arguments.threads), "-r", "1"]
        self.timeout = arguments.timeout
        self.version, self.notes = "", ""
        self.is_package = help_text is None
        if not self.is_package:
            self.common += ["-ngl", "0", "-o", "json"]
            self.has_depth = "--n-depth" in help_text

    def options(self, test):
        if self.is_package or self.has_depth:
            return ["-p", str(0 if test.depth else test.n_prompt), "-n", str(test.n_generate), "-d", str(test.depth)]
        if not test.depth:
            return ["-p", str(test.n_prompt), "-n", str(test.n_generate)]
        return ["-p", "0", "-n", "0", "-gp", f"{test.depth},{test.n_generate}"]

    def measure(self, test):
        rows = parse_json(run(self.command + self.common + self.options(test), self.timeout))
        if len(rows) != len(test.names()):
            raise Failure(f"{self.name}: {len(rows)} results for {len(test.names())} tests")
        self.version = self.given_version or rows[0].get("build_commit", "")
        options = [word for word in self.command[1:] if not os.path.exists(word)]
        self.notes = " ".join(options + [f"flash_attn={rows[0].get('flash_attn')}"])
        return [float(row["avg_ts"]) for row in rows]


def install_package(folder):
    """llama.cpp's prebuilt program for this processor and no graphics card."""
    if not shutil.which("npm"):
        raise Failure("npm is not installed: install Node.js, or leave llama.cpp out with --no-npm")
    processor = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine())
    if not processor:
        raise Failure(f"node-llama-cpp has no program for {platform.machine()}: use --no-npm")
    print(f"installing node-llama-cpp {NODE_LLAMA_CPP} into {folder}", file=sys.stderr)
    run(["npm", "install", "--prefix", folder, "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund",
         f"node-llama-cpp@{NODE_LLAMA_CPP}", f"@node-llama-cpp/linux-{processor}@{NODE_LLAMA_CPP}"], 900)
    script = shutil.copy(os.path.join(HERE, "llama_cpp.mjs"), folder)
    return ["node", script]


def find_peers(arguments, folder):
    """(name, command, help text) of each; the package has no help text."""
    peers = []
    for peer in arguments.peer:
        name, separator, command = peer.partition("=")
        words = shlex.split(command)
        if not separator or not words:
            raise Failure(f"--peer {peer}: write NAME=COMMAND")
        peers.append((name, words, run(words[:1] + ["--help"], 60)))
    if not arguments.no_npm:
        peers.insert(0, (NPM_NAME, install_package(folder), None))
    if not peers:
        raise Failure("nothing to compare with: give --peer, or leave --no-npm out")
    return peers


def processor_name():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.machine()


def measure_rounds(programs, tests, rounds):
    """samples[test name][program name] and limits[test name], one value for each round."""
    samples, limits = {}, {}
    total, done = rounds * len(tests) * len(programs), 0
    for _ in range(rounds):
        for test in tests:
            for program in programs:
                done += 1
                print(f"[{done}/{total}] {program.name}: {', '.join(test.names())}", file=sys.stderr)
                for name, rate in zip(test.names(), program.measure(test)):
                    samples.setdefault(name, {}).setdefault(program.name, []).append(rate)
                if isinstance(program, Entropix):
                    for name, limit in zip(test.names(), program.limits(test)):
                        limits.setdefault(name, []).append((limit, program.gigabytes_per_second()))
    return samples, limits


def median_of(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def make_rows(model, arguments, programs, samples, limits):
    info = json.loads(run([arguments.entropix, "info", "-m", model, "--json"], 60))
    ours = programs[0].name
    common = {
        "date": datetime.date.today().isoformat(), "machine": arguments.machine or processor_name(),
        "threads": arguments.threads, "rounds": arguments.rounds,
        "model": arguments.label or f"{info['architecture']} {info['n_parameters'] / 1e6:.0f} M",
        "type": FILE_TYPES.get(info["keys"].get("general.file_type"), info["types"][0]["type"]),
    }
    for test, by_program in samples.items():
        limit = median_of([pair[0] for pair in limits[test]])
        bandwidth = median_of([pair[1] for pair in limits[test]])
        for program in programs:
            rates = by_program[program.name]
            ratio = median_of([a / b for a, b in zip(by_program[ours], rates)])
            yield dict(common, test=test, program=program.name, version=program.version, notes=program.notes,
                       tokens_per_second=f"{statistics.median(rates):.4g}", lowest=f"{min(rates):.4g}",
                       highest=f"{max(rates):.4g}", entropix_ratio=f"{ratio:.3f}",
                       limit="" if limit is None else f"{limit:.4g}", gigabytes_per_second=f"{bandwidth:.3g}")


def print_table(rows):
    print("| test | program | tokens/s | lowest to highest | entropix to it | share of the limit |")
    print("|---|---|---:|---:|---:|---:|")
    for row in rows:
        share = f"{float(row['tokens_per_second']) / float(row['limit']):.2f}" if row["limit"] else ""
        ratio = "" if row["program"] == Entropix.name else f"{row['entropix_ratio']} ×"
        print(f"| {row['test']} | {row['program']} | {row['tokens_per_second']} | {row['lowest']} to {row['highest']} "
              f"| {ratio} | {share} |")


def append_rows(path, rows):
    new = not os.path.exists(path) or os.path.getsize(path) == 0
    with open(path, "a", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("-m", "--model", action="append", required=True, help="the GGUF file that all programs read; may be repeated")
    add("-t", "--threads", type=int, default=len(os.sched_getaffinity(0)), help="of every program (all cores)")
    add("-r", "--rounds", type=int, default=3, help="(3)")
    add("-p", "--n-prompt", type=int, default=512, help="tokens of the prefill (512)")
    add("-n", "--n-gen", type=int, default=128, help="tokens to decode (128)")
    add("-d", "--depths", default="", metavar="N,N", help="also decode after so many positions, such as 2048,8192")
    add("--depth-gen", type=int, default=32, metavar="N", help="tokens to decode there (32)")
    add("-o", "--output", metavar="FILE", help="append the results to this CSV file")
    add("--peer", action="append", default=[], metavar="NAME[@VERSION]=COMMAND",
        help="a llama-bench, with options of its own; the version, if it does not know its own")
    add("--no-npm", action="store_true", help="do not install and measure llama.cpp from npm")
    add("--entropix", default=os.path.join(ROOT, "build", "release", "entropix"), metavar="FILE", help="the program")
    add("--entropix-options", type=shlex.split, default=[], metavar="OPTIONS", help="further options of its bench")
    add("--label", help="the model's name in the results (architecture and number of parameters)")
    add("--machine", help="its name in the results (the processor's)")
    add("--keep", action="store_true", help="leave the temporary folder")
    add("--timeout", type=int, default=1800, metavar="SECONDS", help="for one measurement (1800)")
    return parser.parse_args()


def warn_if_busy():
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"compare.py: other programs are running (load {load:.1f}): the results will mean little. Programs whose "
              "threads wait for each other without sleeping suffer most", file=sys.stderr)


def compare(arguments, folder):
    warn_if_busy()
    peers = find_peers(arguments, folder)
    tests = [Test(arguments.n_prompt, arguments.n_gen, 0)]
    tests += [Test(0, arguments.depth_gen, int(depth)) for depth in arguments.depths.split(",") if depth]
    for model in arguments.model:
        programs = [Entropix(model, arguments)] + [LlamaBench(*peer[:2], model, arguments, peer[2]) for peer in peers]
        samples, limits = measure_rounds(programs, tests, arguments.rounds)
        rows = list(make_rows(model, arguments, programs, samples, limits))
        print(f"\n{rows[0]['model']}, {rows[0]['type']}\n")
        print_table(rows)
        if arguments.output:
            append_rows(arguments.output, rows)


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)) # an exit runs what is in `finally`
    folder = tempfile.mkdtemp(prefix="entropix-peers-")
    try:
        compare(arguments, folder)
    except (Failure, OSError, KeyError, ValueError) as failure:
        sys.exit(f"compare.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if arguments.keep:
            print(f"kept {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
