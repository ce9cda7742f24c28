"""Which peers and workloads bench/compare measures in each mode."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str  # in the benchmarks' names
    title: str
    binary: str


ENGINE = Peer("touchstone", "Touchstone", "engine_bench")
BY_PATH = Peer("touchstone_by_path", "Touchstone by path", "engine_bench")
CAS = Peer("touchstone_cas", "Touchstone numbered CAS", "engine_bench")
MUTEX = Peer("mutex_map", "mutex map", "mutex_map_bench")
IN_LOCK = Peer("mutex_map_in_lock", "mutex map, body in lock", "mutex_map_bench")
STRIPED = Peer("striped_map", "striped map", "striped_map_bench")
TBB = Peer("tbb_map", "TBB", "tbb_map_bench")
ROCKSDB = Peer("rocksdb", "RocksDB", "rocksdb_bench")

PEERS = [ENGINE, MUTEX, IN_LOCK, STRIPED, TBB, ROCKSDB]
WITH_PATHS = [ENGINE, BY_PATH, CAS] + PEERS[1:]  # only with dotted paths


@dataclasses.dataclass(frozen=True)
class Workload:
    kind: str  # rmw, latency or snapshots
    rest: str  # of the benchmark's name, after the peer and the kind of key
    naming: str
    peers: tuple

    @property
    def title(self):
        return f"{self.kind} {self.naming} {self.rest.replace('/', ' ')}"

    def benchmark(self, peer):
        return f"{self.kind}/{peer.name}/{self.naming}/{self.rest}"


def shaped(kind, keys, n, spread, threads, naming="dotted", peers=None):
    chosen = peers or (WITH_PATHS if naming == "dotted" else PEERS)
    return Workload(kind, f"keys:{keys}/n:{n}/{spread}/threads:{threads}", naming, tuple(chosen))


def snapshots(read, threads):
    return Workload("snapshots", f"read:{read}/threads:{threads}", "dotted", tuple(PEERS))


def full():
    for n in (1, 4, 16):
        for spread in ("disjoint", "uniform", "zipf", "hot"):
            for threads in (1, 2, 8, 32) if n == 1 else (1, 2):
                yield shaped("rmw", 1000, n, spread, threads)
    for n in (1, 16):
        for spread in ("disjoint", "uniform"):
            for threads in (1, 2):
                yield shaped("rmw", 1000, n, spread, threads, "ids")
        for spread in ("uniform", "zipf"):
            yield shaped("rmw", 1000000, n, spread, 2)
            yield shaped("rmw", 1000000, n, spread, 2, "ids")
    for n, spread, threads in ((1, "disjoint", 1), (1, "disjoint", 2), (1, "uniform", 2), (1, "hot", 2),
                               (16, "uniform", 2), (1, "uniform", 32)):
        yield shaped("latency", 1000, n, spread, threads)
    for read in (16, 1000):
        for threads in (2, 8):
            yield snapshots(read, threads)


def quick():
    for n, spread, threads in ((1, "disjoint", 1), (1, "disjoint", 2), (1, "uniform", 2), (1, "hot", 2), (16, "disjoint", 2),
                               (1, "disjoint", 32)):
        yield shaped("rmw", 1000, n, spread, threads, peers=PEERS)
    yield shaped("latency", 1000, 1, "disjoint", 2, peers=PEERS)
    yield snapshots(1000, 2)


def smoke():
    yield shaped("rmw", 1000, 1, "hot", 2, peers=[ENGINE, MUTEX])
    yield shaped("latency", 1000, 1, "hot", 2, peers=[ENGINE, MUTEX])


def workloads(mode):
    return list({"full": full, "quick": quick, "smoke": smoke}[mode]())


def contention(mode):
    """Names of contention_bench, the policies of one scenario one after the other."""
    policies = ("ticket", "key_queue", "backoff", "none", "mutex")
    if mode == "full":
        finite = [f"finite/{p}/workers:{w}" for w in (8, 16, 32, 64) for p in policies]
        return finite + [f"{kind}/{p}" for kind in ("slow", "bystander") for p in policies]
    workers = 64 if mode == "quick" else 8
    return [f"finite/{p}/workers:{workers}" for p in policies]
