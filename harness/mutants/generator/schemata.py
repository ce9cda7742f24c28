"""All mutants of a file in one text, each asleep: `mutant(7)` is true in the run that the environment names.

    text = schemata(source, mutants)

The environment variable TOUCHSTONE_MUTANT is the number of the one that is awake. TOUCHSTONE_REACHED instead names a file of one byte for
each mutant: the byte of every mutant whose place was executed becomes 1, also in children and in processes that are killed. The
engine's own sources never see this: it is written into a copy.
"""

import re
from dataclasses import replace

SWITCH = "engine/mutant_switch.h"

SWITCH_TEXT = """#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <type_traits>

namespace touchstone::engine {

struct MutantSwitch {
  MutantSwitch() {
    if (const char* awake_one = std::getenv("TOUCHSTONE_MUTANT")) awake = std::atoi(awake_one);
    const char* file = std::getenv("TOUCHSTONE_REACHED");
    const int fd = file != nullptr ? ::open(file, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    const auto size = static_cast<std::size_t>(::lseek(fd, 0, SEEK_END));
    void* bytes = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (bytes == MAP_FAILED) return;
    reached = static_cast<unsigned char*>(bytes);
    awake = -1;
  }

  int awake = 0;
  unsigned char* reached = nullptr;
};

inline const MutantSwitch mutant_switch;

// Many threads note the same: no race that the checks should tell of.
__attribute__((noinline, cold, no_sanitize("thread"))) inline bool note_mutant(int number) {
  mutant_switch.reached[number] = 1;
  return false;
}

[[gnu::always_inline]] constexpr bool mutant(int number) {
  if (std::is_constant_evaluated()) return false;
  const int awake = mutant_switch.awake;
  if (__builtin_expect(awake < 0, 0)) return note_mutant(number);
  return __builtin_expect(awake == number, 0);
}

}  // namespace touchstone::engine
"""


def _test(number):
    return f"::touchstone::engine::mutant({number})"


class _Site:
    def __init__(self, begin, end):
        self.begin, self.end, self.mutants, self.inner = begin, end, [], []


def _sites(mutants):
    """A tree of ranges; those that cross one another do not occur, because ranges are of a syntax tree."""
    by_range = {}
    for mutant in mutants:
        key = (mutant.begin, mutant.end)
        by_range.setdefault(key, _Site(*key)).mutants.append(mutant)
    root = _Site(0, 1 << 60)
    open_sites = [root]
    for site in sorted(by_range.values(), key=lambda s: (s.begin, -s.end)):
        while site.begin >= open_sites[-1].end or site.end > open_sites[-1].end:
            open_sites.pop()
        open_sites[-1].inner.append(site)
        if site.end > site.begin:
            open_sites.append(site)
    return root


def _marked(number, text):
    return f"/*<{number}*/{text}/*{number}>*/"


class _Writer:
    def __init__(self, text):
        self.text = text

    def range(self, begin, end, inner):
        out, at = [], begin
        for site in inner:
            out.append(self.text[at:site.begin])
            out.append(self.site(site))
            at = site.end
        out.append(self.text[at:end])
        return "".join(out)

    def site(self, site):
        inner = self.range(site.begin, site.end, site.inner)
        guards, arguments = [], []
        for mutant in sorted(site.mutants, key=lambda m: m.number):
            test = _test(mutant.number)
            raw = mutant.alternative
            if mutant.action == "expression":
                inner = _marked(mutant.number, f"({test} ? ({raw}) :") + f" ({inner}))"
            elif mutant.action == "argument":
                comma = ", " if mutant.after else ""
                begin = f"{comma}(" if not arguments else ""
                arguments.append(_marked(mutant.number, f"{begin}{test} ? {raw} :"))
            elif mutant.action == "later":
                inner += " " + _marked(mutant.number, f"if ({test}) {{ {raw} }}")
            elif mutant.action == "entry":
                inner = " " + _marked(mutant.number, f"if ({test}) {raw}") + inner
            elif mutant.action == "return":
                inner = "{ " + _marked(mutant.number, f"if ({test}) {raw}") + f" {inner} }}"
            elif mutant.action == "guard":
                made, name, given = raw.split("\0")
                inner = _marked(mutant.number, f"std::optional<std::remove_cv_t<decltype({made})>> {name}; "
                                               f"if (!{test}) {name}.emplace{given};")
            else:  # statement, exchange
                guards.append(_marked(mutant.number, f"if (!{test})"))
        if arguments:
            inner = "".join(arguments) + " std::memory_order_seq_cst)" + inner
        if guards:
            inner = "{ " + " ".join(guards) + f" {inner} }}"
        return inner


def schemata(source, mutants):
    """The file with every mutant in it. Numbers are already given."""
    later = [replace(m, action="later", begin=m.after, end=m.after, alternative=source.text[m.begin:m.end])
             for m in mutants if m.action == "exchange"]
    text = _Writer(source.text).range(0, len(source.text), _sites(mutants + later).inner)
    include = f'#include "{SWITCH}"\n'
    once = "#pragma once\n"
    return text.replace(once, once + include, 1) if once in text else include + text


def numbers_at(text, line, column):
    """The mutants whose own text is at this place of a generated file, innermost first."""
    starts = [0] + [m.end() for m in re.finditer("\n", text)]
    at = starts[line - 1] + column - 1
    around = []
    for match in re.finditer(r"/\*<(\d+)\*/", text[:at + 1]):
        number = match.group(1)
        end = text.find(f"/*{number}>*/", match.end())
        if end >= at:
            around.append((end - match.start(), int(number)))
    return [number for _, number in sorted(around)]
