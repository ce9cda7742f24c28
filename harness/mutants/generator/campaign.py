"""Which test reaches which mutant, and which one kills it."""

import array
import collections
import concurrent.futures
import hashlib
import json
import os
import random
import statistics

from mutated_tree import TECHNIQUES

_TOO_LONG = 120  # seconds of processor time that a test may take without a mutant
_AT_ONCE = 1  # seconds: of a program that is recorded as a whole
_BATCH = 0.05  # tests shorter than this run together in one process


class Reach:
    """Of every test without a mutant: its time, and the mutants at whose places it came by. Kept until its program changes."""

    def __init__(self, tree, jobs):
        self.tree, self.path = tree, tree.home / "reach.json"
        known = json.loads(self.path.read_text()) if self.path.exists() else {}
        tests = tree.tests()
        hashes = {p: _digest(p) for p in {t.program for t in tests}}
        self.left_out = []
        self.seconds, self.elapsed, self.reaching = {}, {}, collections.defaultdict(list)
        fresh = {t.name: known[t.name] for t in tests if known.get(t.name, {}).get("program") == hashes[t.program]}
        programs = collections.defaultdict(list)
        for test in tests:
            if test.name not in fresh:
                programs[test.program].append(test)
        looked, missing = 0, sum(len(group) for group in programs.values())
        with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
            for group, all_seen in zip(programs.values(), pool.map(_look_at_program, [(tree, g) for g in programs.values()])):
                for test, seen in zip(group, all_seen):
                    fresh[test.name] = dict(seen, program=hashes[test.program])
                half = self.path.with_suffix(".half")
                half.write_text(json.dumps(fresh))
                half.replace(self.path)
                looked += len(group)
                print(f"looked at {looked} of {missing} tests", flush=True)
        for test in tests:
            seen = fresh[test.name]
            if seen["failed"]:
                self.left_out.append(f"{test.name}: {seen['failed']} without a mutant")
                continue
            self.seconds[test] = seen["seconds"]
            self.elapsed[test] = seen.get("elapsed", seen["seconds"])
            for number in seen["reached"]:
                self.reaching[number].append(test)


def _digest(path):
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def _look_at_program(what):
    """The tests of a program that takes no time run together and are recorded as one: they would meet a mutant together anyway."""
    tree, tests = what
    seen = _look(tree, tests, 10 * _AT_ONCE)
    if not seen["failed"] and seen["seconds"] < _AT_ONCE:
        return [dict(seen, seconds=round(seen["seconds"] / len(tests), 4), elapsed=round(seen["elapsed"] / len(tests), 4))] * len(tests)
    return [_look(tree, [test], _TOO_LONG) for test in tests]


def _look(tree, tests, most):
    file = tree.home / f"reached.{os.getpid()}"
    size = max((m.number for m in tree.mutants), default=0) + 1
    file.write_bytes(bytes(size))
    plain = tree.run(tests, most)
    seen = {"seconds": round(plain.seconds, 3), "elapsed": round(plain.elapsed, 3), "failed": plain.how, "reached": []}
    if not plain.how:
        tree.run(tests, _TOO_LONG, reached=file)
        data = array.array("B", file.read_bytes())
        seen["reached"] = [i for i, byte in enumerate(data) if byte]
    file.unlink()
    return seen


def plan(tests, seconds, budget, kills):
    """The runs of one mutant: technique by technique, the short tests of a program together, then the others; first what is short or has
    killed often in the same file. Returns also the tests that the budget leaves out."""
    runs, left_out, spent = [], [], 0.0
    for technique in TECHNIQUES:
        mine = sorted((t for t in tests if t.label == technique), key=lambda t: (seconds[t], t.name))
        together = collections.defaultdict(list)
        for test in mine:
            key = test.program if seconds[test] < _BATCH else test
            together[key].append(test)
        for group in sorted(together.values(), key=lambda g: sum(seconds[t] for t in g) / (1 + sum(kills[t.name] for t in g))):
            cost = sum(seconds[t] for t in group)
            if spent + cost > budget and runs:
                left_out += group
                continue
            spent += cost
            runs.append(group)
    return runs, left_out


def _run(tree, reach, group, mutant, seed, patience=1):
    """With six times the time that the tests take without a mutant."""
    seconds, elapsed = sum(reach.seconds[t] for t in group), sum(reach.elapsed[t] for t in group)
    return tree.run(group, patience * (1.5 + 6 * seconds), mutant=mutant.number, seed=seed, elapsed=patience * 6 * elapsed)


def try_mutant(tree, reach, mutant, budget, seed, kills):
    """The verdict on one mutant, as a record for the results."""
    record = {"key": mutant.key, "file": mutant.file, "function": mutant.function, "line": mutant.line, "operator": mutant.operator,
              "text": mutant.text, "change": mutant.change, "seed": seed}
    reaching = reach.reaching.get(mutant.number, [])
    if not reaching:
        return dict(record, verdict="survived", how="not reached", seconds=0.0)
    runs, left_out = plan(reaching, reach.seconds, budget, kills)
    spent = 0.0
    labels = {t.name: t.label for t in reaching}
    for group in runs:
        run = _run(tree, reach, group, mutant, seed)
        spent += run.seconds
        if run.how == "watchdog":  # was it the mutant, or a busy machine?
            again = [t for t in group if t.name == run.failed] or group
            run = _run(tree, reach, again, mutant, seed, patience=2)
            spent += run.seconds
        if run.how:
            return dict(record, verdict="killed", how=run.how, check=run.failed, technique=labels.get(run.failed, group[0].label),
                        seconds=round(spent, 2), found_in=run.found_in)
    how = f"{len(reaching)} tests reach it" + (f", {len(left_out)} beyond the budget" if left_out else "")
    return dict(record, verdict="survived", how=how, seconds=round(spent, 2))


def medians(tree, reach, mutant, record, seeds):
    """Over that many seeds: executions until the explorer found it, or else seconds; and how many seeds found it."""
    tests = [t for t in reach.reaching.get(mutant.number, []) if t.name == record["check"]]
    if not tests:
        return {}
    executions, times, found = [], [], 0
    for seed in range(1, seeds + 1):
        run = _run(tree, reach, tests, mutant, seed)
        if run.how:
            found += 1
            times.append(run.seconds)
            if run.found_in:
                executions.append(run.found_in)
    result = {"seeds": seeds, "found_by": found}
    if executions:
        result["median_executions"] = statistics.median(executions)
    if times:
        result["median_seconds"] = round(statistics.median(times), 3)
    return result


def evenly(mutants, seed):
    """In rounds: one of each file and operator in each, as long as there are some."""
    groups = collections.defaultdict(list)
    for mutant in mutants:
        groups[mutant.file, mutant.operator].append(mutant)
    chance = random.Random(seed)
    for group in groups.values():
        chance.shuffle(group)
    rounds = [(i, chance.random(), mutant) for group in groups.values() for i, mutant in enumerate(group)]
    return [mutant for _, _, mutant in sorted(rounds, key=lambda r: r[:2])]


_shared = {}


def _begin(tree, reach):
    _shared.update(tree=tree, reach=reach, kills=collections.defaultdict(collections.Counter))


def _try_one(job):
    mutant, known, budget, seed, seeds = job
    tree, reach = _shared["tree"], _shared["reach"]
    kills = _shared["kills"][mutant.file]
    record = known or try_mutant(tree, reach, mutant, budget, seed, kills)
    if record["verdict"] == "killed":
        kills[record["check"]] += 1
    if seeds and record["verdict"] == "killed" and record["how"] != "watchdog":  # which takes as long as it is given
        record.update(medians(tree, reach, mutant, record, seeds))
    return record


def end_last_line(results):
    """So that what a killed run wrote half spoils no further line."""
    if results.exists() and not results.read_bytes().endswith(b"\n"):
        with open(results, "a") as out:
            out.write("\n")


def run(tree, reach, mutants, known, results, budget, seed, seeds, jobs):
    """Tries them and appends each verdict to the file `results` as a line. Those with a record in `known` only meet their check again,
    with `seeds` seeds."""
    end_last_line(results)
    with concurrent.futures.ProcessPoolExecutor(jobs, initializer=_begin, initargs=(tree, reach)) as pool, open(results, "a") as out:
        for record in pool.map(_try_one, [(m, known.get(m.key), budget, seed, seeds) for m in mutants]):
            out.write(json.dumps(record) + "\n")
            out.flush()
            yield record
