"""A C++ source as the generator sees it, and a mutant of it."""

import bisect
import os
import re
from dataclasses import dataclass, field


@dataclass
class Mutant:
    file: str
    function: str
    operator: str
    action: str
    begin: int
    end: int
    alternative: str
    change: str  # for people: what becomes what
    line: int = 0
    text: str = ""  # of the line
    ordinal: int = 0  # among those that look alike
    number: int = 0  # in one generated tree
    after: int = 0  # exchange: the end of the next statement

    @property
    def key(self):
        """Names it also after the file has changed elsewhere."""
        parts = [self.file, self.function, self.operator, self.text, self.change]
        if self.ordinal:
            parts.append(f"#{self.ordinal + 1}")
        return " | ".join(parts)


@dataclass
class Source:
    file: str
    text: str  # without comments, every character at its place
    path: str  # where clang finds it
    starts: list = field(default_factory=list)

    def __post_init__(self):
        self.starts = [0] + [m.end() for m in re.finditer("\n", self.text)]

    def line_of(self, offset):
        return bisect.bisect_right(self.starts, offset)

    def line_text(self, line):
        end = self.starts[line] if line < len(self.starts) else len(self.text)
        return " ".join(self.text[self.starts[line - 1]:end].split())


def source_of(file, top):
    path = os.path.join(top, file)
    with open(path, encoding="latin-1") as stream:
        return Source(file, without_comments(stream.read()), path)


def without_comments(text):
    """The same text with spaces where comments were."""
    pattern = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'(?<=..)|//[^\n]*|/\*.*?\*/', re.S)

    def blank(match):
        found = match.group(0)
        return found if found[0] in "\"'" else re.sub(r"[^\n]", " ", found)

    return pattern.sub(blank, text)


def closing(text, at):
    """The offset of the bracket that closes the one at `at`."""
    depth = 0
    quoted = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])+\'')
    while at < len(text):
        if text[at] in "\"'":
            match = quoted.match(text, at)
            at = match.end() if match else at + 1
            continue
        depth += text[at] in "([{"
        depth -= text[at] in ")]}"
        if depth == 0:
            return at
        at += 1
    return -1


def split_arguments(text):
    parts, depth, last = [], 0, 0
    for i, c in enumerate(text):
        depth += c in "([{"
        depth -= c in ")]}"
        if c == "," and depth == 0:
            parts.append(text[last:i])
            last = i + 1
    parts.append(text[last:])
    return [p for p in parts if p.strip()]
