"""Changes every line of the engine in small ways, one at a time, and tells which changes no test notices: what ci/mutation calls."""

import argparse
import pathlib
import sys

import campaign
import score
from mutated_tree import MutatedTree, engine_files, mutants_in


def options(arguments):
    parser = argparse.ArgumentParser(prog="ci/mutation", description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="only N mutants, spread evenly over files and operators")
    parser.add_argument("--files", nargs="+", metavar="FILE", help="only these files of engine/")
    parser.add_argument("--operator", nargs="+", metavar="NAME", help="only these operators: " + " ".join(score.OPERATORS))
    parser.add_argument("--line", type=int, nargs="+", metavar="L", help="only these lines, with --files")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the sample and of the tests (1)")
    parser.add_argument("--seeds", type=int, default=0, metavar="K", help="try each killed one's check with K seeds, and give the medians")
    parser.add_argument("--budget", type=float, default=60, metavar="SECONDS", help="of tests for each mutant, as long as they take without one (60)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="at the same time (2)")
    parser.add_argument("--resume", metavar="DIR", help="keep the verdicts there and go on where it stopped (build/mutation)")
    parser.add_argument("--again", action="store_true", help="try the survivors again: after tests were added")
    parser.add_argument("--programs", nargs="+", metavar="NAME", help="only these test programs")
    parser.add_argument("--table", metavar="FILE", help="write the score into the page, after its line <!-- mutation -->")
    parser.add_argument("--top", metavar="DIR", help="of another repository with an engine/")
    parser.add_argument("--check", action="store_true", help="only look for stale reasons of equivalent mutants")
    parser.add_argument("--list", action="store_true", help="print the mutants and try none")
    parser.add_argument("--score", action="store_true", help="print the score of the verdicts there are, and try none")
    return parser.parse_args(arguments)


def select(mutants, wanted):
    chosen = [m for m in mutants if (not wanted.operator or m.operator in wanted.operator) and (not wanted.line or m.line in wanted.line)]
    chosen = campaign.evenly(chosen, wanted.seed)
    return chosen[:wanted.sample] if wanted.sample else chosen


def main(arguments):
    wanted = options(arguments)
    top = pathlib.Path(wanted.top).resolve() if wanted.top else pathlib.Path(__file__).resolve().parents[3]
    home = pathlib.Path(wanted.resume or top / "build" / "mutation").resolve()
    all_files = engine_files(top)
    for operator in wanted.operator or []:
        if operator not in score.OPERATORS:
            print(f"no such operator: {operator} (known: {' '.join(score.OPERATORS)})", file=sys.stderr)
            return 64
    files = [f if f.startswith("engine/") else "engine/" + f for f in wanted.files or []]
    for file in files:
        if file not in all_files:
            print(f"no such file of the engine: {file}", file=sys.stderr)
            return 64
    reasons = score.Reasons(top / "harness/mutants/equivalent.txt")
    if wanted.check:
        named = [f for f in all_files if reasons.may_name(f)]
        return report_stale(reasons, [m for mutants in mutants_in(top, named)[1].values() for m in mutants])
    if wanted.list:
        for mutants in mutants_in(top, files or all_files)[1].values():
            for mutant in select_in_order(mutants, wanted):
                print(f"{mutant.file}:{mutant.line}: {mutant.function}: {mutant.operator}: {mutant.change}: {mutant.text}")
        return 0
    home.mkdir(parents=True, exist_ok=True)
    tree = MutatedTree(top, home)
    tree.generate(all_files)  # all, so that one build serves every choice
    if report_stale(reasons, tree.mutants) != 0:
        return 1
    results = home / "results.jsonl"
    mutants = [m for m in tree.mutants if not files or m.file in files]
    chosen = select(mutants, wanted)
    if not wanted.score:
        print(f"{len(tree.mutants)} mutants of {len(all_files)} files", flush=True)
        print(f"building {' '.join(wanted.programs or ['the tests of the engine'])}: {home / 'build.log'}", flush=True)
        tree.build(wanted.programs, wanted.jobs)
        present = {m.key for m in tree.mutants}
        chosen = [m for m in chosen if m.key in present]
        done = score.read_results(results)
        again = {key for key, r in done.items() if wanted.again and r["verdict"] == "survived" and key not in reasons}
        untimed = {key: r for key, r in done.items() if r["verdict"] == "killed" and r["how"] != "watchdog" and r.get("seeds", 0) < wanted.seeds}
        left = [m for m in chosen if m.key not in done or m.key in again or m.key in untimed]
        reach = campaign.Reach(tree, wanted.jobs)
        for line in reach.left_out:
            print(f"left out: {line}", flush=True)
        print(f"{len(left)} of {len(chosen)} mutants to try", flush=True)
        for record in campaign.run(tree, reach, left, untimed, results, wanted.budget, wanted.seed, wanted.seeds, wanted.jobs):
            print(score.line_of(record, reasons), flush=True)
    else:
        present = {m.key for m in tree.mutants}
        chosen = [m for m in chosen if m.key in present]
    done = score.read_results(results)
    judged = score.judge([done[m.key] for m in chosen if m.key in done], reasons)
    text = score.tables(judged, chosen)
    print(text)
    if wanted.table:
        score.write_into(pathlib.Path(wanted.table), text)
    contradicted = [r["key"] for r in judged if r["verdict"] == "killed" and r["key"] in reasons]
    for key in contradicted:
        print(f"harness/mutants/equivalent.txt: killed, so it is not equivalent: {key}", file=sys.stderr)
    return 1 if contradicted or any(r["verdict"] == "survived" for r in judged) else 0


def report_stale(reasons, mutants):
    stale = reasons.stale(mutants)
    for key in stale:
        print(f"harness/mutants/equivalent.txt: no such mutant: {key}", file=sys.stderr)
    return 1 if stale else 0


def select_in_order(mutants, wanted):
    chosen = {m.key for m in select(mutants, wanted)} if mutants else set()
    return [m for m in mutants if m.key in chosen]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
