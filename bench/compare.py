"""Runs the engine and its peers in turn and compares them: what bench/compare calls after building them.

One measurement is one process: a binary with the filter for one benchmark. A round measures each workload once for every peer, one
right after the other, and begins each round with another peer. Between any two runs the cache-line probe says where the two CPUs
sit; a ratio is made only of two figures of the same round that were measured in the same bucket. So no figure stands without its peer.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import compare_plot
import compare_table
import compare_workloads

BUCKETS = [(80.0, "near"), (200.0, "mid"), (float("inf"), "far")]


class Probe:
    """Where the CPUs sit, and what an uncontended compare-and-swap costs."""

    def __init__(self, binary):
        self.binary = binary
        self.cas_ns = []
        self.one_way_ns = []

    def bucket(self):
        done = subprocess.run([self.binary], capture_output=True, text=True, check=False)
        if done.returncode == 69:  # one CPU: everything sits alike
            return "one"
        if done.returncode != 0:
            sys.exit(f"compare: {self.binary} failed: {done.stderr.strip()}")
        one_way, cas = (float(word) for word in done.stdout.split())
        self.one_way_ns.append(one_way)
        self.cas_ns.append(cas)
        return next(name for bound, name in BUCKETS if one_way < bound)


class Figure:
    """What one run of one peer measured."""

    def __init__(self, counters, bucket):
        self.counters = counters
        self.bucket = bucket


class Session:
    def __init__(self, options):
        self.bin = pathlib.Path(options.bin)
        self.min_time = options.min_time
        self.probe = Probe(str(self.bin / "cacheline_probe"))
        self.environment = dict(os.environ, TOUCHSTONE_SEED=options.seed)
        self.figures = {}  # (workload, peer) -> one Figure a round, or None
        self.missing = set()

    def run(self, binary, name, min_time):
        """The counters of one benchmark."""
        command = [str(self.bin / binary), f"--benchmark_filter=^{name}/manual_time$", "--benchmark_format=json",
                   f"--benchmark_min_time={min_time}"]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False)
        if done.returncode != 0 or not done.stdout.lstrip().startswith("{"):
            sys.exit(f"compare: {' '.join(command)} failed:\n{done.stderr}{done.stdout}")
        benchmarks = json.loads(done.stdout)["benchmarks"]
        if len(benchmarks) != 1 or benchmarks[0].get("error_occurred"):
            sys.exit(f"compare: {' '.join(command)}: {benchmarks or 'no such benchmark'}")
        return benchmarks[0]

    def present(self, peers):
        here = [peer for peer in peers if (self.bin / peer.binary).exists()]
        self.missing.update(peer.title for peer in peers if peer not in here)
        return here

    def round(self, number, workloads):
        for at, workload in enumerate(workloads):
            peers = self.present(workload.peers)
            turn = (number + at) % len(peers)
            before = self.probe.bucket()
            for peer in peers[turn:] + peers[:turn]:
                counters = self.run(peer.binary, workload.benchmark(peer), self.min_time)
                after = self.probe.bucket()
                figure = Figure(counters, before if before == after else "moved")
                self.figures.setdefault((workload, peer), []).append(figure)
                before = after
            progress(f"round {number + 1}: {at + 1} of {len(workloads)} workloads: {workload.title}")

    def contention(self, binary, names):
        """The contention runs, each policy in turn."""
        file = self.bin.parent / "compare-workers.csv"
        file.unlink(missing_ok=True)
        if not (self.bin / binary).exists():
            return {}, []
        self.environment["TOUCHSTONE_BENCH_WORKERS"] = str(file)
        results = {}
        for name in names:
            progress(f"contention: {name}")
            results[name] = self.run(binary, name, 0.01)
        rows = [line.split(",") for line in file.read_text().splitlines()]
        file.unlink()
        return results, rows


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def machine():
    """What a reader must know of the machine and the moment."""
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {"processor": f"{model}, {os.cpu_count()} CPUs", "kernel": platform.release(),
            "commit": commit.stdout.strip() or "unknown", "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "load before": "%.1f %.1f %.1f" % os.getloadavg()}


def parse():
    parser = argparse.ArgumentParser(prog="bench/compare", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bin", default="build/release/bin", help=argparse.SUPPRESS)
    parser.add_argument("--full", action="store_true", help="all workloads, three rounds, all contention runs")
    parser.add_argument("--smoke", action="store_true", help="two workloads, one round: does it work at all?")
    parser.add_argument("--rounds", type=int, help="rounds (quick: 1, full: 3)")
    parser.add_argument("--min-time", type=float, help="seconds a run (quick: one window of 60 ms, full: 0.2)")
    parser.add_argument("--only", default="", help="only workloads whose title contains this")
    parser.add_argument("--seed", default="1", help="of the draws, the same for all peers")
    parser.add_argument("--out", help="folder of results.md, ratios.svg and contention.svg")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.full else 1)
    options.min_time = options.min_time or (0.2 if options.full else 0.01)
    options.out = pathlib.Path(options.out or pathlib.Path(options.bin).parent / "compare")
    return options


def main():
    options = parse()
    mode = "full" if options.full else "smoke" if options.smoke else "quick"
    workloads = [w for w in compare_workloads.workloads(mode) if options.only in w.title]
    if not workloads:
        sys.exit(f"compare: no workload's title contains '{options.only}'")
    session = Session(options)
    begin = time.time()
    facts = machine()
    for number in range(options.rounds):
        session.round(number, workloads)
    contention, fates = session.contention("contention_bench", compare_workloads.contention(mode))
    facts["load after"] = "%.1f %.1f %.1f" % os.getloadavg()
    facts["took"] = f"{time.time() - begin:.0f} s, {options.rounds} rounds, seed {options.seed}"
    if session.probe.one_way_ns:
        ordered = sorted(session.probe.one_way_ns)
        facts["cache line, one way"] = (f"{ordered[0]:.0f} to {ordered[-1]:.0f} ns, "
                                        f"median {statistics.median(ordered):.0f} ns")
        facts["uncontended compare-and-swap"] = f"{min(session.probe.cas_ns):.1f} ns"
    progress("")
    options.out.mkdir(parents=True, exist_ok=True)
    results = compare_table.Results(session, workloads, contention)
    (options.out / "results.md").write_text(compare_table.page(results, facts, sorted(session.missing)))
    (options.out / "ratios.svg").write_text(compare_plot.ratios(results))
    (options.out / "contention.svg").write_text(compare_plot.contention(fates))
    print(compare_table.summary(results))
    print(f"{options.out}/results.md, ratios.svg, contention.svg")


if __name__ == "__main__":
    main()
