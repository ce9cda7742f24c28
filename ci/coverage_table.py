"""The table of ci/coverage: lines of the engine that the tests reached, of each file, and those that were missed without a reason.

coverage_table.py LCOV REASONS LEAST WHOLE: WHOLE is "yes" if all tests of the engine ran; only then there is a verdict. The lines of
engine/etcd count where its tests ran.

A line of REASONS is "FILE | TEXT OF THE LINE | why no test reaches it", and speaks for the missed lines right below it too. A reason whose
line is reached, or is not in the file, is stale: exit 1. A line of REASONS that is not of this form: exit 65.
"""
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

ETCD = 'engine/etcd/'


def counted(name):
    """Not what only tests include."""
    return name.startswith('engine/') and '_test.' not in name and not os.path.basename(name).startswith('test_')


def counts_of(lcov):
    """By file: line number -> how often it ran."""
    files, lines = {}, None
    for row in open(lcov):
        if row.startswith('SF:'):
            lines = files.setdefault(os.path.relpath(row[3:].strip(), TOP), {})
        elif row.startswith('DA:'):
            number, count = row[3:].strip().split(',')[:2]
            lines[int(number)] = lines.get(int(number), 0) + int(count)
    return {name: lines for name, lines in files.items() if counted(name)}


def reasons_of(path):
    reasons = {}
    for number, row in enumerate(open(path), 1):
        row = row.strip()
        if row and not row.startswith('#'):
            parts = row.split(' | ', 2)
            if len(parts) != 3:
                print(f'{path}:{number}: not "FILE | TEXT OF THE LINE | why": {row}')
                sys.exit(65)
            reasons[parts[0], parts[1]] = parts[2]
    return reasons


def main():
    lcov, path, least, whole = sys.argv[1:]
    counts, reasons, used, missed = counts_of(lcov), reasons_of(path), set(), []
    total = reached = excused = 0
    form = '{:<40} {:>6} {:>8} {:>6} {:>8} {:>7}'
    print(form.format('file', 'lines', 'reached', '%', 'reasons', 'missed'))
    for name in sorted(counts):
        with open(os.path.join(TOP, name)) as file:
            text = file.read().split('\n')
        lines, hits, with_reason, covered = counts[name], 0, 0, False
        for number, count in sorted(lines.items()):
            key = name, text[number - 1].strip()
            if count > 0:
                hits, covered = hits + 1, False
                continue
            if key in reasons:
                used.add(key)
                covered = True
            if covered:
                with_reason += 1
            else:
                missed.append((name, number, key[1]))
        total, reached, excused = total + len(lines), reached + hits, excused + with_reason
        print(form.format(name, len(lines), hits, f'{100 * hits / max(len(lines), 1):.1f}', with_reason, len(lines) - hits - with_reason))
    share = 100 * (reached + excused) / max(total, 1)
    print(form.format('all', total, reached, f'{100 * reached / max(total, 1):.1f}', excused, len(missed)))
    for name, number, text in missed:
        print(f'missed: {name}:{number}: {text}')
    print(f'{reached} of {total} lines reached, {share:.1f} % with those that have a reason (least {least} %)' +
          ('' if any(name.startswith(ETCD) for name in counts) else '; engine/etcd is not counted'))
    if whole != 'yes':
        return 0
    stale = [key for key in reasons if key not in used and (key[0] in counts or not key[0].startswith(ETCD))]
    for name, text in stale:
        print(f'stale reason: {name} | {text}')
    return 1 if stale or share < float(least) else 0


sys.exit(main())
