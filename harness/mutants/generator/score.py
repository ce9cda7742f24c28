"""The verdicts of a campaign, the reasons of equivalent mutants, and the tables made of both."""

import collections
import json
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


def read_reasons(path):
    """Blocks of a line `key` for each mutant of a reason, and then the reason, indented. Lines that begin with # are comments."""
    reasons, keys, reason = {}, [], []
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
                if key in reasons:
                    raise ValueError(f"{path}:{number}: a second reason of {key}")
                reasons[key] = " ".join(reason)
            keys, reason = [], []
        keys.append(line.strip())
    if keys != ["end"]:
        raise ValueError(f"{path}: no reason of {keys[0]}")
    return reasons


def stale_reasons(reasons, mutants):
    present = {m.key for m in mutants}
    return [key for key in reasons if key not in present]


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


def tables(records, population):
    lines = [f"{len(records)} of {population} mutants tried.", ""]
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
    for technique in ["unit", "property", "schedule", "stress", "chaos"]:
        mine = [r for r in killed if r["technique"] == technique]
        if not mine:
            continue
        how = collections.Counter(r["how"] for r in mine)
        seconds = statistics.median(r.get("median_seconds", r["seconds"]) for r in mine)
        executions = [r.get("median_executions", r["found_in"]) for r in mine if r.get("median_executions", r["found_in"])]
        found = f"{statistics.median(executions):g}" if executions else ""
        lines.append(f"| {technique} | {len(mine)} | {how['failed']} | {how['crashed']} | {how['watchdog']} | {seconds:.2f} | {found} |")
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
