"""The tables of bench/compare: figures, ratios and marks, in Markdown."""

import collections
import statistics

from compare_workloads import CAS, ENGINE, MUTEX, ROCKSDB, TBB, shaped, snapshots

# What the engine is held to: ratio of commits a second on two threads, unless said otherwise.
MARKS = [
    ("1 key, disjoint: 10 × the mutex map", shaped("rmw", 1000, 1, "disjoint", 2), MUTEX, 10),
    ("1 key, uniform: 7 × the mutex map", shaped("rmw", 1000, 1, "uniform", 2), MUTEX, 7),
    ("16 keys, disjoint: 4 × the mutex map", shaped("rmw", 1000, 16, "disjoint", 2), MUTEX, 4),
    ("1 hot key: 5 × the mutex map", shaped("rmw", 1000, 1, "hot", 2), MUTEX, 5),
    ("1 key, disjoint: 4 × TBB", shaped("rmw", 1000, 1, "disjoint", 2), TBB, 4),
    ("1 key, disjoint: 150 × RocksDB", shaped("rmw", 1000, 1, "disjoint", 2), ROCKSDB, 150),
    ("writer beside a scanner of 1,000 keys: 100 × the mutex map", snapshots(1000, 2), MUTEX, 100),
]


class Results:
    """The figures of a session, and what may be said of them."""

    def __init__(self, session, workloads, contention):
        self.workloads = workloads
        self.contention = contention
        self.cas_ns = min(session.probe.cas_ns, default=None)
        self._figures = {(w.title, p.name): figures for (w, p), figures in session.figures.items()}

    def peers(self, workload):
        return [p for p in workload.peers if (workload.title, p.name) in self._figures]

    def figures(self, workload, peer):
        return self._figures.get((workload.title, peer.name), [])

    def bucket(self, workload):
        """The bucket that most runs of the workload were measured in."""
        counted = collections.Counter(f.bucket for p in self.peers(workload) for f in self.figures(workload, p))
        counted.pop("moved", None)
        return counted.most_common(1)[0][0] if counted else "moved"

    def value(self, workload, peer, counter):
        """The median over the rounds, of those in the workload's bucket if there are any."""
        figures = self.figures(workload, peer)
        alike = [f for f in figures if f.bucket == self.bucket(workload)] or figures
        return statistics.median(f.counters[counter] for f in alike) if alike else None

    def ratio(self, workload, peer, counter="commits"):
        """Engine over peer: the median over the rounds that measured both in one bucket (single threads need none)."""
        one_thread = workload.rest.endswith("threads:1")
        ratios = []
        for mine, other in zip(self.figures(workload, ENGINE), self.figures(workload, peer)):
            alike = mine.bucket == other.bucket != "moved"
            if (alike or one_thread) and other.counters[counter]:
                ratios.append(mine.counters[counter] / other.counters[counter])
        return statistics.median(ratios) if ratios else None


def si(value):
    if value is None:
        return "–"
    for bound, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= bound:
            return f"{value / bound:.3g} {unit}"
    return f"{value:.3g}"


def times(ratio):
    if ratio is None:
        return "no pair"
    return f"{ratio:.0f} ×" if ratio >= 100 else f"{ratio:.2g} ×" if ratio < 10 else f"{ratio:.3g} ×"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(["---"] + ["---:"] * (len(header) - 1)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def rates(results, workloads, counter):
    """Figures and, behind each peer's, the engine's as a multiple of it."""
    peers = []
    for workload in workloads:
        peers += [p for p in results.peers(workload) if p not in peers]
    rows = []
    for workload in workloads:
        row = [workload.title.split(" ", 1)[1], results.bucket(workload)]
        for peer in peers:
            value = results.value(workload, peer, counter)
            text = si(value)
            if peer != ENGINE and value is not None:
                text += f" ({times(results.ratio(workload, peer, counter))})"
            row.append(text)
        rows.append(row)
    return table(["workload", "CPUs"] + [p.title for p in peers], rows)


def cpu_times(results, workloads):
    """Nanoseconds of processor time a commit and, behind each peer's, the engine's in its: however busy the machine was."""
    workloads = [w for w in workloads if w.rest.endswith("threads:1")]
    peers = list(dict.fromkeys(p for w in workloads for p in results.peers(w)))
    rows = []
    for workload in workloads:
        mine = results.value(workload, ENGINE, "cpu_ns")
        row = [workload.title.split(" ", 1)[1]]
        for peer in peers:
            value = results.value(workload, peer, "cpu_ns")
            row.append(si(value) + (f" ({times(value / mine)})" if value and mine and peer != ENGINE else ""))
        rows.append(row)
    return table(["workload"] + [p.title for p in peers], rows) if rows else ""


def latencies(results, workloads):
    rows = []
    for workload in workloads:
        for peer in results.peers(workload):
            cells = [si(results.value(workload, peer, c)) for c in ("p50_ns", "p99_ns", "p99.9_ns")]
            rows.append([workload.title.split(" ", 1)[1], peer.title, results.bucket(workload)] + cells)
    return table(["workload", "peer", "CPUs", "p50 ns", "p99 ns", "p99.9 ns"], rows)


def contention(results):
    parts = []
    for kind in ("finite", "slow", "bystander"):
        runs = {n: c for n, c in results.contention.items() if n.startswith(kind + "/")}
        if not runs:
            continue
        standard = ("name", "run_name", "run_type", "family_index", "per_family_instance_index", "repetitions",
                    "repetition_index", "threads", "iterations", "real_time", "cpu_time", "time_unit")
        counters = [c for c in next(iter(runs.values())) if c not in standard]
        rows = [[name.split("/", 1)[1]] + [si(run[c]) for c in counters] for name, run in runs.items()]
        parts.append(f"### {kind}\n\n" + table([kind] + counters, rows))
    return "\n".join(parts)


def verdict(reached, wanted, more_is_better=True):
    met = reached >= wanted if more_is_better else reached <= wanted
    return "met" if met else "missed"


def marks(results):
    measured = {w.title for w in results.workloads}
    rows = []
    for text, workload, peer, wanted in MARKS:
        if workload.title in measured and results.figures(workload, peer):
            ratio = results.ratio(workload, peer)
            rows.append([text, times(ratio), verdict(ratio, wanted) if ratio is not None else "not measured"])
    rows += rate_marks(results, measured) + contention_marks(results)
    return table(["mark", "measured", "verdict"], rows)


def rate_marks(results, measured):
    rows = []

    def rate(threads, counter="commits", kind="rmw"):
        workload = shaped(kind, 1000, 1, "disjoint", threads)
        return results.value(workload, ENGINE, counter) if workload.title in measured else None

    one, two, many = rate(1), rate(2), rate(32)
    p99 = rate(2, "p99_ns", "latency")
    if one and two:
        rows.append(["1 key, disjoint: two threads 1.7 × one", times(two / one), verdict(two / one, 1.7)])
    if two and many:
        rows.append(["1 key, disjoint: 32 threads keep 80 % of two", f"{many / two:.0%}", verdict(many / two, 0.8)])
    if p99:
        rows.append(["1 key, disjoint, two threads: p99 under 100 ns", f"{p99:.0f} ns", verdict(p99, 100, False)])
    if one and results.cas_ns:
        cost = 1e9 / one / results.cas_ns
        rows.append(["1-key commit within 10 uncontended compare-and-swaps", f"{cost:.0f}", verdict(cost, 10, False)])
    return rows


def contention_marks(results):
    rows = []
    for policy in ("ticket", "key_queue"):
        finite = [c for n, c in results.contention.items() if n.startswith(f"finite/{policy}/")]
        if finite:
            conflicts = max(c["conflicts_max"] for c in finite)
            over = max(c["over_ideal"] for c in finite)
            rows.append([f"{policy}: no commit with more than 5 conflicts", f"{conflicts:.0f}", verdict(conflicts, 5, False)])
            rows.append([f"{policy}: total time within 1.25 of ideal serial", f"{over:.2f}", verdict(over, 1.25, False)])
        slow = results.contention.get(f"slow/{policy}")
        if slow:
            gap = slow["gap_in_bodies"]
            rows.append([f"{policy}: a slow worker commits once in 8 of its bodies", f"{gap:.1f}", verdict(gap, 8, False)])
    return rows


def page(results, facts, missing):
    by_kind = {kind: [w for w in results.workloads if w.kind == kind] for kind in ("rmw", "latency", "snapshots")}
    text = ["# Results\n", "Written by `bench/compare`; what the words mean is in [performance.md](../performance.md).\n",
            table(["", ""], [[k, v] for k, v in facts.items()])]
    if missing:
        text.append(f"Not on this machine: {', '.join(missing)}.\n")
    text += ["## Marks\n", marks(results), "![ratios](ratios.svg)\n", "## Read-modify-write, commits a second\n",
             "In brackets: the engine's rate as a multiple of the peer's.\n", rates(results, by_kind["rmw"], "commits")]
    text += ["## Processor time of a commit, one thread, ns\n", cpu_times(results, by_kind["rmw"])]
    if by_kind["latency"]:
        text += ["## Latency of a commit\n", latencies(results, by_kind["latency"])]
    if by_kind["snapshots"]:
        text += ["## One snapshot reader beside writers\n", "Commits a second:\n",
                 rates(results, by_kind["snapshots"], "commits"), "Snapshots a second:\n",
                 rates(results, by_kind["snapshots"], "snapshots")]
    if results.contention:
        text += ["## One counter, bodies of 1 ms\n", contention(results), "![contention](contention.svg)\n"]
    return "\n".join(text)


def summary(results):
    lines = []
    for workload in results.workloads:
        counter = "p99_ns" if workload.kind == "latency" else "commits"
        unit = " ns p99" if workload.kind == "latency" else "/s"
        cells = [f"{p.title} {si(results.value(workload, p, counter))}{unit}" for p in results.peers(workload) if p != CAS]
        lines.append(f"{workload.title} [{results.bucket(workload)}]\n    " + ", ".join(cells))
    return "\n".join(lines) + "\n\n" + marks(results)
