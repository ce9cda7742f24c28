"""What the syntax tree does not show where a template's types are not known yet: found in the text of functions."""

import re

from source import closing, split_arguments

_LOAD, _STORE, _RMW = "load", "store", "rmw"
_ATOMIC = {"load": _LOAD, "store": _STORE, "exchange": _RMW, "compare_exchange_strong": _RMW, "fetch_add": _RMW, "fetch_sub": _RMW,
           "fetch_or": _RMW, "fetch_and": _RMW}
_ARGUMENTS = {"load": 0, "store": 1, "exchange": 1, "compare_exchange_strong": 2, "fetch_add": 1, "fetch_sub": 1, "fetch_or": 1,
              "fetch_and": 1}
_WEAKER = {(_LOAD, "seq_cst"): ["acquire", "relaxed"], (_LOAD, "acquire"): ["relaxed"],
           (_STORE, "seq_cst"): ["release", "relaxed"], (_STORE, "release"): ["relaxed"],
           (_RMW, "seq_cst"): ["acq_rel", "relaxed"], (_RMW, "acq_rel"): ["relaxed"]}


def add_all(visitor):
    _atomics(visitor)
    _named_constants(visitor)
    _extremes(visitor)


def _atomics(visitor):
    for match in re.finditer(r"(?:\.|->)(" + "|".join(_ATOMIC) + r")(\()", visitor.text):
        name = visitor.function_at(match.start())
        if name is None:
            continue
        closed = closing(visitor.text, match.start(2))
        arguments = split_arguments(visitor.text[match.end(2):closed])
        access = _ATOMIC[match.group(1)]
        if len(arguments) == _ARGUMENTS[match.group(1)]:
            for weaker in _WEAKER[access, "seq_cst"]:
                visitor.add("order", "argument", closed, closed, f"std::memory_order_{weaker}", f"{match.group(1)} seq_cst -> {weaker}",
                         name, after=int(bool(arguments)))
        for order in re.finditer(r"std::memory_order_(\w+)", visitor.text[match.end(2):closed]):
            begin = match.end(2) + order.start()
            for weaker in _WEAKER.get((access, order.group(1)), []):
                visitor.add("order", "expression", begin, begin + len(order.group(0)), f"std::memory_order_{weaker}",
                         f"{match.group(1)} {order.group(1)} -> {weaker}", name)


def _named_constants(visitor):
    for name, value in visitor.constants.items():
        for match in re.finditer(r"\b(?:\w+(?:<\w+>)?::)*" + name + r"\b", visitor.text):
            function = visitor.function_at(match.start())
            if function is None or re.search(r"\bconstexpr\b[^;{}]*$", visitor.text[:match.start()]):
                continue
            used = match.group(0)
            others = [f"{used} + 1", f"{used} - 1"] if not re.search(r"[\"']", value) else []
            for other in others:
                visitor.add("constant", "expression", match.start(), match.end(), f"({other})", f"{used} -> {other}", function)


def _extremes(visitor):
    for match in re.finditer(r"std::(min|max)(?=[(<])", visitor.text):
        name = visitor.function_at(match.start())
        if name is not None:
            other = "max" if match.group(1) == "min" else "min"
            called = visitor.text.index("(", match.end())
            closed = closing(visitor.text, called)
            text = visitor.text[match.start():closed + 1]
            visitor.add("arithmetic", "expression", match.start(), closed + 1, text.replace(match.group(1), other, 1),
                     f"std::{match.group(1)} -> std::{other}", name)
