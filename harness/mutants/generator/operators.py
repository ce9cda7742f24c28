"""Which small changes of a C++ source would be bugs: the mutants of one file, from clang's syntax tree.

    for file, mutants in mutants_of([source_of("engine/backoff.h", top)], flags).items(): ...

A mutant is a change at a range of the text. What it does to the program is one of
  expression   the range, an expression, becomes `alternative`
  statement    the range, a statement, is not executed (alternative: nothing)
  exchange     the range, a statement, is executed after the next one
  entry        the range, empty and at the begin of a function's body, becomes `alternative`
  guard        the range, the declaration of a scoped object that nothing names, makes no object
So that all mutants of a file can be in one program (schemata.py), none of them depends on another one.

Operators: comparison, logic, condition, arithmetic, constant, statement, exchange, guard, order, return. A condition is not negated but made
true or false, and an operand of a logical operator neutral: a test that sees one of these sees the negation too. What is evaluated when the program is compiled is left
alone (static_assert, template arguments, enumerators, case labels); of a named constant, each use in a function is changed.
"""

import re

from clang import cindex
from clang.cindex import CursorKind

import text_operators
from source import Mutant, closing

_COMPARISONS = {"<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"], "==": [], "!=": []}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "/", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "^": "|"}
_COMPOUND = {op + "=": other + "=" for op, other in _ARITHMETIC.items()}
_LOOPS = {CursorKind.FOR_STMT, CursorKind.WHILE_STMT, CursorKind.DO_STMT, CursorKind.CXX_FOR_RANGE_STMT}
_FUNCTIONS = {CursorKind.FUNCTION_DECL, CursorKind.CXX_METHOD, CursorKind.CONSTRUCTOR, CursorKind.DESTRUCTOR,
              CursorKind.FUNCTION_TEMPLATE, CursorKind.CONVERSION_FUNCTION}
_JUMPS = {CursorKind.RETURN_STMT, CursorKind.BREAK_STMT, CursorKind.CONTINUE_STMT}
_AT_COMPILE_TIME = {CursorKind.STATIC_ASSERT, CursorKind.ENUM_DECL}


class _Visitor:
    def __init__(self, source):
        self.source = source
        self.text = source.text
        self.found = []
        self.functions = []  # (begin, end, name) of their bodies
        self.constants = {}  # name -> value text
        self.decided = set()  # ranges that are made true, false or neutral: they are not negated too

    # What a cursor covers.
    def span(self, cursor):
        return cursor.extent.start.offset, cursor.extent.end.offset

    def here(self, cursor):
        start = cursor.extent.start
        return start.file is not None and start.file.name == self.source.path

    def of(self, cursor):
        begin, end = self.span(cursor)
        return self.text[begin:end]

    def add(self, operator, action, begin, end, alternative, change, function, after=0):
        line = self.source.line_of(begin)
        if "fault_point(" in self.source.line_text(line):  # a place for tests, not a part of what the engine does
            return
        self.found.append(Mutant(self.source.file, function, operator, action, begin, end, alternative, " ".join(change.split()), line,
                                 self.source.line_text(line), after=after))

    # The tree.
    def top(self, cursor, scope=()):
        for child in cursor.get_children():
            if cursor.kind == CursorKind.TRANSLATION_UNIT and not self.here(child):
                continue
            kind = child.kind
            if kind in _AT_COMPILE_TIME:
                continue
            if kind in _FUNCTIONS or (kind == CursorKind.UNEXPOSED_DECL):
                self.function(child, scope)
            elif kind in (CursorKind.NAMESPACE, CursorKind.LINKAGE_SPEC):
                self.top(child, scope)
            elif kind in (CursorKind.STRUCT_DECL, CursorKind.CLASS_DECL, CursorKind.CLASS_TEMPLATE,
                          CursorKind.CLASS_TEMPLATE_PARTIAL_SPECIALIZATION):
                self.top(child, scope + (child.spelling,))
            elif kind == CursorKind.FIELD_DECL:
                name = "::".join(scope)
                for part in child.get_children():
                    if part.kind.is_expression():
                        self.expression(part, name)
            elif kind == CursorKind.VAR_DECL:
                self.constant(child)
            elif kind in (CursorKind.FRIEND_DECL,):
                self.top(child, scope)

    def constant(self, cursor):
        declaration = self.of(cursor)
        match = re.search(r"\bconstexpr\b.*?\b(k[A-Z]\w*)\s*=\s*(.+)$", declaration, re.S)
        if match and "[" not in match.group(0).split("=")[0]:
            self.constants[match.group(1)] = " ".join(match.group(2).split())

    def function(self, cursor, scope):
        body = None
        for child in cursor.get_children():
            if child.kind in _FUNCTIONS and cursor.kind == CursorKind.UNEXPOSED_DECL:
                return self.function(child, scope)
            if child.kind == CursorKind.COMPOUND_STMT:
                body = child
        if body is None or not self.here(body) or not self.of(body).startswith("{"):  # defaulted
            return
        parent = cursor.semantic_parent
        if not scope and parent is not None and parent.kind not in (CursorKind.NAMESPACE, CursorKind.TRANSLATION_UNIT):
            scope = (parent.spelling,)
        name = "::".join(scope + (cursor.spelling.split("<")[0],))
        for child in cursor.get_children():  # initializers of members, default arguments
            if child.kind.is_expression():
                self.expression(child, name)
            elif child.kind == CursorKind.PARM_DECL:
                for part in child.get_children():
                    if part.kind.is_expression():
                        self.expression(part, name)
        begin, end = self.span(body)
        self.functions.append((begin, end, name))
        result = cursor.result_type.spelling if cursor.kind not in (CursorKind.CONSTRUCTOR, CursorKind.DESTRUCTOR) else "void"
        if cursor.kind == CursorKind.FUNCTION_TEMPLATE and cursor.spelling.split("<")[0] == scope[-1:] and scope:
            result = "void"
        statements = list(body.get_children())
        if result == "void" and len(statements) > 1 and "[[noreturn" not in self.of(cursor):
            self.add("return", "entry", begin + 1, begin + 1, "return;", "returns at once", name)
        self.block(body, name, result)

    def block(self, compound, name, result):
        statements = [s for s in compound.get_children()]
        ends = [self.end_of(s) for s in statements]
        for i, statement in enumerate(statements):
            self.statement(statement, name, result, statements[i + 1:])
            if i + 1 < len(statements):
                self.exchange(statement, statements[i + 1], ends[i], ends[i + 1], name)

    def end_of(self, statement):
        begin, end = self.span(statement)
        if statement.kind in (CursorKind.COMPOUND_STMT,) or self.text[end - 1:end] in (";", "}") and statement.kind in _LOOPS | {
                CursorKind.IF_STMT, CursorKind.SWITCH_STMT, CursorKind.CXX_TRY_STMT, CursorKind.DECL_STMT}:
            return end
        match = re.compile(r"\s*;").match(self.text, end)
        return match.end() if match else end

    def is_plain(self, statement):
        return statement.kind.is_expression() or statement.kind in (CursorKind.IF_STMT, CursorKind.FOR_STMT, CursorKind.WHILE_STMT,
                                                                    CursorKind.CXX_FOR_RANGE_STMT)

    def exchange(self, first, second, first_end, second_end, name):
        """Only where the order can matter: both call something, or one names what the other names and one of them changes something."""
        if not self.is_plain(first) or not (self.is_plain(second) or second.kind == CursorKind.DECL_STMT):
            return
        begin, begin_second = self.span(first)[0], self.span(second)[0]
        a, b = self.text[begin:first_end], self.text[begin_second:second_end]
        if "return" in a or "return" in b or "break" in a or "continue" in a or "break;" in b or "continue;" in b:
            return
        if second.kind == CursorKind.DECL_STMT and re.match(r"\s*(static|using)\b", b):
            return
        calls = "(" in a and "(" in b
        words_a, words_b = set(re.findall(r"[A-Za-z_]\w*", a)), set(re.findall(r"[A-Za-z_]\w*", b))
        if not calls and not words_a & words_b:
            return
        self.add("exchange", "exchange", begin, first_end, "", f"after {self.short(b)}", name, after=second_end)

    @staticmethod
    def short(text):
        text = " ".join(text.split())
        return text if len(text) <= 60 else text[:57] + "..."

    def drop(self, statement, name, change=None):
        begin, end = self.span(statement)[0], self.end_of(statement)
        self.add("statement", "statement", begin, end, "", change or "dropped", name)

    def body_of(self, child, name, result):
        """The statement under an if or a loop."""
        if child.kind == CursorKind.COMPOUND_STMT:
            self.block(child, name, result)
        else:
            self.statement(child, name, result, None)

    def statement(self, statement, name, result, rest):
        kind = statement.kind
        if re.match(r"[A-Z][A-Z0-9_]{3,}\(", self.of(statement)):  # a macro that makes statements
            return None
        if kind == CursorKind.COMPOUND_STMT:
            return self.block(statement, name, result)
        if kind == CursorKind.DECL_STMT:
            return self.declaration(statement, name, rest or [])
        if kind == CursorKind.RETURN_STMT:
            return self.returns(statement, name, result, rest)
        if kind in (CursorKind.BREAK_STMT, CursorKind.CONTINUE_STMT):
            return self.drop(statement, name)
        if kind == CursorKind.IF_STMT:
            return self.choice(statement, name, result)
        if kind in _LOOPS:
            return self.loop(statement, name, result)
        if kind == CursorKind.SWITCH_STMT:
            children = list(statement.get_children())
            for child in children[:-1]:
                if child.kind.is_expression():
                    self.expression(child, name)
            return self.body_of(children[-1], name, result)
        if kind in (CursorKind.CASE_STMT, CursorKind.DEFAULT_STMT):
            return self.body_of(list(statement.get_children())[-1], name, result)
        if kind == CursorKind.CXX_TRY_STMT:
            for child in statement.get_children():
                if child.kind == CursorKind.COMPOUND_STMT:
                    self.block(child, name, result)
                else:
                    for part in child.get_children():
                        if part.kind == CursorKind.COMPOUND_STMT:
                            self.block(part, name, result)
            return None
        if kind.is_expression():
            if not self.of(statement).strip().startswith("(void)"):
                self.drop(statement, name)
            return self.expression(statement, name)
        for child in statement.get_children():
            self.statement(child, name, result, None)
        return None

    def declaration(self, statement, name, rest):
        variables = [c for c in statement.get_children() if c.kind == CursorKind.VAR_DECL]
        text = self.of(statement)
        if re.match(r"\s*(static\s+)?(constexpr|static_assert|using)\b", text):
            return
        for variable in variables:
            for part in variable.get_children():
                if part.kind.is_expression():
                    self.expression(part, name)
        used = "".join(self.of(s) for s in rest)
        guard = re.fullmatch(r"(?:const\s+)?([\w:<>]+)\s+(\w+)\s*(\(.*\))\s*;?", text.strip(), re.S)
        if len(variables) == 1 and guard and not re.search(rf"\b{guard.group(2)}\b", used):
            begin, end = self.span(statement)
            made = f"{guard.group(1)}{guard.group(3)}"
            self.add("guard", "guard", begin, end, f"{made}\0{guard.group(2)}\0{guard.group(3)}", "dropped", name)

    def returns(self, statement, name, result, rest):
        begin, end = self.span(statement)[0], self.end_of(statement)
        children = list(statement.get_children())
        last = rest is not None and not rest
        at_end = last and any(self.text[end:e].strip() == "}" for b, e, n in self.functions if b < begin < e and n == name)
        if not at_end:
            self.drop(statement, name)
        if not children:
            return
        value = children[0]
        text = self.text[begin:end].rstrip(";").strip()[len("return"):].strip()
        bare = result.replace("const ", "").strip()
        if bare == "bool":
            if text not in ("true", "false"):
                self.add_return(begin, end, f"return !({text});", f"{self.short(text)} -> negated", name)
        elif bare.endswith("*"):
            if text != "nullptr":
                self.add_return(begin, end, "return nullptr;", f"{self.short(text)} -> nullptr", name)
        elif "optional<" in bare:
            if text not in ("std::nullopt", "{}"):
                self.add_return(begin, end, "return std::nullopt;", f"{self.short(text)} -> std::nullopt", name)
        elif re.fullmatch(r"(std::)?u?int\d+_t|std::size_t|size_t|Version|int|Duration|Time|unsigned.*|long.*|pid_t", bare):
            if not re.fullmatch(r"-?\d+|\{\}", text):
                self.add_return(begin, end, "return {};", f"{self.short(text)} -> 0", name)
        self.expression(value, name)

    def add_return(self, begin, end, alternative, change, name):
        self.add("return", "return", begin, end, alternative, change, name)

    def condition(self, node, name, forms, operator="condition"):
        begin, end = self.span(node)
        text = self.text[begin:end]
        if text in ("true", "false"):
            return
        self.decided.add((begin, end))
        for form in forms:
            self.add(operator, "expression", begin, end, form, f"{self.short(text)} -> {form}", name)

    def choice(self, statement, name, result):
        children = list(statement.get_children())
        begin, end = self.span(statement)
        opened = self.text.index("(", begin)
        closed = closing(self.text, opened)
        constant = self.text[begin:opened].split()[-1] == "constexpr"
        inside = [c for c in children if self.span(c)[0] < closed]
        outside = [c for c in children if self.span(c)[0] >= closed]
        declares = any(c.kind in (CursorKind.VAR_DECL, CursorKind.DECL_STMT) for c in inside[-2:]) and not (
            inside and inside[-1].kind.is_expression() and ";" in self.text[opened:closed])
        if not constant:
            test = inside[-1] if inside else None
            if test is not None and test.kind.is_expression() and not declares:
                self.condition(test, name, ["true"] if len(outside) < 2 else ["true", "false"])
            for child in inside:
                if child.kind.is_expression():
                    self.expression(child, name)
                else:
                    self.nested(child, name)
            if len(outside) < 2 and not self.only_jumps(outside):
                self.add("statement", "statement", begin, self.end_of(statement), "", "dropped", name)
        for child in outside:
            self.body_of(child, name, result)

    def only_jumps(self, outside):
        """An if whose only statement is a jump: to drop the jump is to drop the if."""
        if len(outside) != 1:
            return False
        only = outside[0]
        if only.kind == CursorKind.COMPOUND_STMT:
            parts = list(only.get_children())
            return len(parts) == 1 and (parts[0].kind in _JUMPS or parts[0].kind.is_expression())
        return only.kind in _JUMPS or only.kind.is_expression()

    def loop(self, statement, name, result):
        children = list(statement.get_children())
        begin, end = self.span(statement)
        if statement.kind == CursorKind.DO_STMT:
            self.body_of(children[0], name, result)
            self.condition(children[1], name, ["false"])
            return self.expression(children[1], name)
        head = self.text[begin:self.text.index("(", begin)]
        closed = closing(self.text, begin + len(head))
        if not re.search(r"\bwhile\s*\(\s*true\s*\)", self.text[begin:closed + 1]) and not re.search(r";\s*;", self.text[begin:closed]):
            self.add("statement", "statement", begin, self.end_of(statement), "", "dropped", name)
        for child in children:
            if self.span(child)[0] >= closed:
                self.body_of(child, name, result)
            elif child.kind.is_expression():
                self.expression(child, name)
            else:
                self.nested(child, name)
        return None

    def nested(self, cursor, name):
        for child in cursor.get_children():
            if child.kind.is_expression():
                self.expression(child, name)
            else:
                self.nested(child, name)

    # Expressions.
    def expression(self, node, name):
        if not self.here(node):
            return
        kind = node.kind
        if kind in (CursorKind.BINARY_OPERATOR, CursorKind.COMPOUND_ASSIGNMENT_OPERATOR):
            self.binary(node, name)
        elif kind == CursorKind.CALL_EXPR:
            self.binary(node, name)
        elif kind == CursorKind.UNEXPOSED_EXPR:
            self.rewritten(node, name)
        elif kind == CursorKind.UNARY_OPERATOR:
            self.unary(node, name)
        elif kind == CursorKind.INTEGER_LITERAL:
            self.number(node, name)
        elif kind == CursorKind.CXX_BOOL_LITERAL_EXPR:
            begin, end = self.span(node)
            other = "false" if self.text[begin:end] == "true" else "true"
            self.add("constant", "expression", begin, end, other, f"{self.text[begin:end]} -> {other}", name)
        elif kind == CursorKind.CONDITIONAL_OPERATOR:
            self.condition(list(node.get_children())[0], name, ["true", "false"])
        elif kind == CursorKind.LAMBDA_EXPR:
            for child in node.get_children():
                if child.kind == CursorKind.COMPOUND_STMT:
                    self.lambda_body(child, name)
                elif child.kind.is_expression():
                    self.expression(child, name)
            return
        for child in node.get_children():
            if child.kind.is_expression():
                self.expression(child, name)
            elif child.kind not in (CursorKind.TYPE_REF, CursorKind.TEMPLATE_REF, CursorKind.NAMESPACE_REF):
                self.nested(child, name)

    def lambda_body(self, body, name):
        statements = list(body.get_children())
        only_returns = len(statements) == 1 and statements[0].kind == CursorKind.RETURN_STMT
        if only_returns:
            value = list(statements[0].get_children())
            if value:
                begin, end = self.span(statements[0])[0], self.end_of(statements[0])
                text = self.text[begin:end].rstrip(";").strip()[len("return"):].strip()
                if value[0].type.spelling == "bool" and not re.search(r"[<>=!]=|[<>]", text):
                    self.add_return(begin, end, f"return !({text});", f"{self.short(text)} -> negated", name)
                self.expression(value[0], name)
            return
        self.block(body, name, "lambda")

    def rewritten(self, node, name):
        """`a != b` where only == is defined: clang shows !(a == b), and begins the negation at its operator."""
        children = list(node.get_children())
        begin, end = self.span(node)
        if len(children) != 1 or (begin, end) in self.decided or children[0].kind != CursorKind.UNARY_OPERATOR:
            return
        at = self.span(children[0])[0]
        if self.text.startswith("!=", at) and begin < at:
            self.add("comparison", "expression", begin, end, self.text[begin:at] + "==" + self.text[at + 2:end], "!= -> ==", name)

    def operator_between(self, left, right):
        between = self.text[self.span(left)[1]:self.span(right)[0]].strip()
        return between.lstrip(")").rstrip("(").strip()

    def binary(self, node, name):
        children = [c for c in node.get_children() if c.kind.is_expression()]
        if node.kind == CursorKind.CALL_EXPR:  # of an operator function, perhaps one that is not known yet
            children = sorted(children, key=lambda c: self.span(c)[0])
            if len(children) == 3 and self.of(children[1]) in _COMPARISONS | _ARITHMETIC | _COMPOUND | {"&&": "", "||": ""}:
                del children[1]
        if len(children) != 2:
            return
        left, right = children
        begin, end = self.span(node)
        op = self.operator_between(left, right)
        a, b = self.text[begin:self.span(left)[1]], self.text[self.span(right)[0]:end]
        gap = self.text[self.span(left)[1]:self.span(right)[0]]
        if op in _COMPARISONS:
            for other in _COMPARISONS[op] + ([] if (begin, end) in self.decided else [_NEGATED[op]]):
                self.add("comparison", "expression", begin, end, a + gap.replace(op, other, 1) + b, f"{op} -> {other}", name)
        elif op in ("&&", "||"):
            neutral = "true" if op == "&&" else "false"
            other = "||" if op == "&&" else "&&"
            self.add("logic", "expression", begin, end, a + gap.replace(op, other, 1) + b, f"{op} -> {other}", name)
            for side in (left, right):
                if not (side.kind == CursorKind.BINARY_OPERATOR and self.side_operator(side) == op):
                    self.condition(side, name, [neutral], "logic")
        elif (op in _ARITHMETIC or op in _COMPOUND) and not re.search(r"[\"']", a + b):  # texts are joined only
            other = _ARITHMETIC.get(op) or _COMPOUND[op]
            self.add("arithmetic", "expression", begin, end, a + gap.replace(op, other, 1) + b, f"{op} -> {other}", name)

    def side_operator(self, side):
        children = [c for c in side.get_children() if c.kind.is_expression()]
        return self.operator_between(*children) if len(children) == 2 else None

    def unary(self, node, name):
        begin, end = self.span(node)
        text = self.text[begin:end]
        if text.startswith(("!=", "==")):  # see rewritten()
            return
        for op, other in (("++", "--"), ("--", "++")):
            if text.startswith(op):
                self.add("arithmetic", "expression", begin, end, other + text[2:], f"{op} -> {other}", name)
            elif text.endswith(op):
                self.add("arithmetic", "expression", begin, end, text[:-2] + other, f"{op} -> {other}", name)
        if text.startswith("!") and (begin, end) not in self.decided:
            self.add("logic", "expression", begin, end, f"!!({text[1:]})", f"{self.short(text)} -> not negated", name)
        elif text.startswith("-") and not text.startswith("--"):
            self.add("arithmetic", "expression", begin, end, f"({text[1:]})", f"{self.short(text)} -> not negated", name)
        elif text.startswith("~"):
            self.add("arithmetic", "expression", begin, end, f"({text[1:]})", f"{self.short(text)} -> not inverted", name)

    def number(self, node, name):
        begin, end = self.span(node)
        text = self.text[begin:end]
        match = re.fullmatch(r"(0x[0-9a-fA-F']+|[0-9']+)([uUlLzZ]*)", text)
        if not match:
            return
        value = int(match.group(1).replace("'", ""), 0 if match.group(1).startswith("0x") else 8 if re.fullmatch(
            r"0[0-7]+", match.group(1)) else 10)
        counts = self.text[:begin].endswith(".add(")  # of a statistic: nothing is what the dropped statement adds
        for other in [value + 1] + ([value - 1] if int(counts) < value < 1 << 32 else []):
            self.add("constant", "expression", begin, end, f"{other}{match.group(2)}", f"{text} -> {other}", name)

    def function_at(self, offset):
        inner = [f for f in self.functions if f[0] < offset < f[1]]
        return min(inner, key=lambda f: f[1] - f[0])[2] if inner else None


def mutants_of(sources, flags):
    """All mutants of the files, file by file in the order of the text: by one look of the compiler at all headers, and one at each .cpp."""
    found = {}
    headers = [s for s in sources if s.file.endswith(".h")]
    units = [[s] for s in sources if s not in headers]
    if headers:
        units.append(headers)
    for unit in units:
        text = "".join(f'#include "{s.path}"\n' for s in unit)
        parsed = cindex.Index.create().parse("unit.cpp", args=flags, unsaved_files=[("unit.cpp", text)])
        errors = [d for d in parsed.diagnostics if d.severity >= cindex.Diagnostic.Error]
        if errors:
            raise ValueError(f"{unit[0].file} does not compile: {errors[0]}")
        for source in unit:
            found[source.file] = _mutants_in(source, parsed)
    return {s.file: found[s.file] for s in sources}


def _mutants_in(source, unit):
    visitor = _Visitor(source)
    visitor.top(unit.cursor)
    text_operators.add_all(visitor)
    seen, unique, counts = set(), [], {}
    for mutant in sorted(visitor.found, key=lambda m: (m.begin, -m.end, m.operator, m.change)):
        same = (mutant.begin, mutant.end, mutant.action, mutant.alternative, mutant.after)
        if same in seen:
            continue
        seen.add(same)
        key = mutant.key
        mutant.ordinal = counts.get(key, 0)
        counts[key] = mutant.ordinal + 1
        unique.append(mutant)
    return unique
