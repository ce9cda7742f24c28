"""The verdicts of a campaign, the reasons of equivalent mutants, and the tables made of both."""

import collections
import json
import math
import re
import statistics

OPERATORS = ["comparison", "logic", "condition", "arithmetic", "constant", "statement", "exchange", "guard", "order", "return"]


def read_results(path):
    """The last verdict on each key. A line that was cut off by the end of a run counts for nothing."""
    results = {}
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            results[record["key"]] = record
    return results


class Reasons:
    """Why mutants are equivalent. Blocks of a line `key` for each mutant of a reason, and then the reason, indented. A field of a key
    between two slashes is a regular expression: that line is a rule for all mutants that it describes. # begins a comment.

    reasons[key], key in reasons; stale(mutants) are the lines that describe none of them."""

    def __init__(self, path):
        self.of, self.rules = {}, {}
        keys, reason = [], []
        for number, line in enumerate(path.read_text().splitlines() + ["end"], 1):
            if line.startswith("#") or not line.strip():
                continue
            if line.startswith(" "):
                if not keys:
                    raise ValueError(f"{path}:{number}: a reason of no mutant")
                reason.append(line.strip())
                continue
            if reason:
                for key in keys:
                    if key in self.of:
                        raise ValueError(f"{path}:{number}: a second reason of {key}")
                    self.of[key] = " ".join(reason)
                keys, reason = [], []
            keys.append(line.strip())
        if keys != ["end"]:
            raise ValueError(f"{path}: no reason of {keys[0]}")
        for key in self.of:
            fields = key.split(" | ")
            if any(_is_rule(f) for f in fields):
                self.rules[key] = re.compile(r" \| ".join(f"(?:{f[1:-1]})" if _is_rule(f) else re.escape(f) for f in fields) + r"( \| #\d+)?")

    def _line_of(self, key):
        return key if key in self.of and key not in self.rules else next((r for r, rule in self.rules.items() if rule.fullmatch(key)), None)

    def __contains__(self, key):
        return self._line_of(key) is not None

    def __getitem__(self, key):
        return self.of[self._line_of(key)]

    def may_name(self, file):
        names = {key.split(" | ")[0] for key in self.of}
        return any(re.fullmatch(n[1:-1], file) if _is_rule(n) else n == file for n in names)

    def stale(self, mutants):
        present = {m.key for m in mutants}
        return [line for line in self.of
                if (not any(self.rules[line].fullmatch(k) for k in present) if line in self.rules else line not in present)]


def _is_rule(field):
    return len(field) > 2 and field[0] == "/" and field[-1] == "/"


def judge(records, reasons):
    return [dict(r, verdict="equivalent", reason=reasons[r["key"]]) if r["verdict"] == "survived" and r["key"] in reasons else r
            for r in records]


def line_of(record, reasons):
    verdict = "equivalent" if record["verdict"] == "survived" and record["key"] in reasons else record["verdict"]
    by = f"{record['check']} ({record['technique']}, {record['how']})" if verdict == "killed" else record["how"]
    if "found_by" in record:
        median = f"{record['median_executions']:g} executions" if "median_executions" in record else f"{record.get('median_seconds', 0)} s"
        by += f", median {median}, {record['found_by']} of {record['seeds']} seeds"
    return (f"{verdict:10} {record['seconds']:7.2f} s  {record['file']}:{record['line']} {record['function']}: {record['operator']}: "
            f"{record['change']}: {by}")


def _row(name, records):
    count = collections.Counter(r["verdict"] for r in records)
    real = count["killed"] + count["survived"]
    percent = f"{100 * count['killed'] / real:.1f} %" if real else ""
    return f"| {name} | {len(records)} | {count['killed']} | {count['survived']} | {count['equivalent']} | {percent} |"


_HEAD = "| tried | killed | survived | equivalent | killed of those that are not equivalent |\n|---|---|---|---|---|---|"


def interval(records, population):
    """The share of killed ones among those that are not equivalent, as it is to be expected of the population, and its 95 % interval. Each
    record stands for its share of its file's and operator's mutants; Wilson's interval with Kish's effective size of such a sample."""
    whole = collections.Counter((m.file, m.operator) for m in population)
    tried = collections.Counter((r["file"], r["operator"]) for r in records)
    real = [r for r in records if r["verdict"] != "equivalent"]
    weights = [whole[r["file"], r["operator"]] / tried[r["file"], r["operator"]] for r in real]
    if not real:
        return None
    share = sum(w for w, r in zip(weights, real) if r["verdict"] == "killed") / sum(weights)
    n, z = sum(weights) ** 2 / sum(w * w for w in weights), 1.96
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return share, (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def tables(records, population):
    lines = [f"{len(records)} of {len(population)} mutants tried."]
    found = interval(records, population)
    if found and len(records) < len(population):
        lines[0] += f" Of all that are not equivalent {100 * found[0]:.1f} % would be killed (95 % interval: {100 * found[1]:.1f} to {100 * found[2]:.1f} %)."
    lines.append("")
    for title, field in (("file", "file"), ("operator", "operator")):
        groups = collections.defaultdict(list)
        for record in records:
            groups[record[field]].append(record)
        lines.append(f"| {title} " + _HEAD)
        lines += [_row(f"`{name}`" if field == "file" else name, groups[name]) for name in sorted(groups)]
        lines += [_row("all", records), ""]
    killed = [r for r in records if r["verdict"] == "killed"]
    lines += ["| technique that killed it first | mutants | by a failed check | by a crash | by the watchdog | median seconds | median executions |",
              "|---|---|---|---|---|---|---|"]
    for technique in ["unit", "property", "schedule", "stress", "chaos", "engines"]:
        mine = [r for r in killed if r["technique"] == technique]
        if not mine:
            continue
        how = collections.Counter(r["how"] for r in mine)
        seconds = statistics.median(r.get("median_seconds", r["seconds"]) for r in mine)
        executions = [r.get("median_executions", r["found_in"]) for r in mine if r.get("median_executions", r["found_in"])]
        found = f"{statistics.median(executions):g}" if executions else ""
        lines.append(f"| {technique} | {len(mine)} | {how['failed']} | {how['crashed']} | {how['watchdog']} | {seconds:.2f} | {found} |")
    reasons = collections.Counter(r["reason"] for r in records if r["verdict"] == "equivalent")
    if reasons:
        lines += ["", "| equivalent mutants | because |", "|---|---|"]
        lines += [f"| {count} | {reason.replace('|', '&#124;')} |" for reason, count in reasons.most_common()]
    survivors = [r for r in records if r["verdict"] == "survived"]
    if survivors:
        lines += ["", "Survivors:", ""]
        lines += [f"- `{r['file']}:{r['line']}` {r['function']}, {r['operator']}: {r['change']} in `{r['text']}` ({r['how']})"
                  for r in sorted(survivors, key=lambda r: (r["file"], r["line"], r["change"]))]
    return "\n".join(lines) + "\n"


def write_into(page, text):
    """Replaces what follows the mark, up to the next heading."""
    mark = "<!-- mutation -->\n"
    before, _, after = page.read_text().partition(mark)
    rest = after[after.index("\n## ") + 1:] if "\n## " in after else ""
    page.write_text(before + mark + "\n" + text + ("\n" + rest if rest else ""))
