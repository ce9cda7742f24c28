"""The pictures of bench/compare, as plain SVG."""

import html
import math

from compare_workloads import ENGINE

COLOURS = ["#1f6f8b", "#e07a5f", "#8a5a99", "#5f9e6e", "#c2a83e", "#7d7d7d", "#b0457b", "#4b6cb7"]
STYLE = "<style>text{font:11px sans-serif;fill:#333}.t{font-size:14px;font-weight:bold}.g{stroke:#ddd}.o{stroke:#333}</style>"


def text(x, y, words, anchor="start", kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{html.escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def bar(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{colour}"/>'


def svg(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}">{STYLE}'
            f'<rect width="100%" height="100%" fill="white"/>' + "\n".join(parts) + "</svg>\n")


def ratios(results):
    """For each workload a dot a peer: how many times the engine's rate is the peer's, on a logarithmic scale."""
    rows = [(w, {p.title: r for p in results.peers(w) if p != ENGINE and (r := results.ratio(w, p)) is not None})
            for w in results.workloads if w.kind != "latency"]
    peers = list(dict.fromkeys(title for _, found in rows for title in found))
    top = max([r for _, found in rows for r in found.values()] + [10])
    least = min([r for _, found in rows for r in found.values()] + [0.5])
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(top))
    left, right, head, step = 330, 930, 70, 17

    def x(ratio):
        return left + (right - left) * (math.log10(ratio) - low) / (high - low)

    bottom = head + step * len(rows)
    parts = [text(10, 20, "Touchstone's rate as a multiple of its peers'", kind="t")]
    for i, title in enumerate(peers):
        parts += [f'<circle cx="{20 + 150 * i}" cy="38" r="4.5" fill="{COLOURS[i % len(COLOURS)]}"/>',
                  text(28 + 150 * i, 42, title)]
    for power in range(low, high + 1):
        kind = "o" if power == 0 else "g"
        parts += [line(x(10**power), head - 8, x(10**power), bottom, kind),
                  text(x(10**power), head - 12, f"{10**power:g} ×", "middle")]
    for i, (workload, found) in enumerate(rows):
        y = head + step * i + step / 2
        parts += [text(left - 8, y + 4, workload.title, "end"), line(left, y, right, y, "g")]
        for title, ratio in found.items():
            colour = COLOURS[peers.index(title) % len(COLOURS)]
            parts.append(f'<circle cx="{x(ratio):.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
    return svg(max(right + 40, 40 + 150 * len(peers)), bottom + 15, parts)


def contention(rows):
    """A bar a worker, the worst first: milliseconds waited above, conflicts below; a panel for each policy and number of workers."""
    panels = {}
    for policy, workers, _, _, conflicts, most, waited, _ in rows:
        panels.setdefault((int(workers), policy), []).append((float(waited), int(conflicts), int(most)))
    policies = list(dict.fromkeys(policy for _, policy in panels))
    numbers = sorted({workers for workers, _ in panels})
    width, height, gap = 250, 90, 60
    parts = [text(10, 20, "Each worker's waits (up, ms) and conflicts (down) in all, one counter, bodies of 1 ms", kind="t")]
    for r, workers in enumerate(numbers):
        found = [fate for (w, _), fates in panels.items() if w == workers for fate in fates]
        most_wait = max([fate[0] for fate in found] + [1])
        most_conflicts = max([fate[1] for fate in found] + [1])
        for c, policy in enumerate(policies):
            fates = sorted(panels.get((workers, policy), []), reverse=True)
            if not fates:
                continue
            left, middle = 20 + c * (width + 30), 60 + r * (2 * height + gap) + height
            worst = max(fate[2] for fate in fates)
            parts.append(text(left, middle - height - 6, f"{policy}, {workers} workers: at worst {fates[0][0]:.0f} ms, "
                                                         f"{worst} conflicts"))
            each = width / len(fates)
            for i, (waited, conflicts, _) in enumerate(fates):
                up, down = height * waited / most_wait, height * conflicts / most_conflicts
                parts += [bar(left + i * each, middle - up, each * 0.85, up, COLOURS[0]),
                          bar(left + i * each, middle + 1, each * 0.85, down, COLOURS[1])]
            parts.append(line(left, middle, left + width, middle, "o"))
    return svg(40 + len(policies) * (width + 30), 80 + len(numbers) * (2 * height + gap), parts)
