"""The messages that the code of generated projects prints, read from its source.

What differs from case to case is "…". A text that is only the error of another program, such
as git's, is no message of ours.
"""

import ast
import itertools
import re

# Functions whose first argument reaches a person. What `print` gets can be a single word.
PRINTING = {
    "logger.error",
    "logger.exception",
    "print",
    "refuse",
    "reject",
    "report",
    "self.report",
    "self.stderr.write",
    "sys.exit",
}
# The messages of Django's checks. Their second argument is the hint.
CHECK_MESSAGES = {"Error", "Warning", "checks.Error", "checks.Warning"}
PLACEHOLDER = re.compile(r"…(\s?…)*")
# The messages of make, and of the files of the providers
ECHOED = re.compile(
    r"""echo (["'])(?:::error::)?([A-Za-z](?:(?!\1).)+ (?:(?!\1).)+)\1|\$\(error ([^\n)]+)\)"""
)
VARIABLE = re.compile(r"\$\$?\((?!error)[^()]*\)|%\(\w+\)s|%[sd]")
DEPTH = 6  # of assignments, functions and tables that lead to a text


def messages_of(project):
    """Return each message of a project, with the file that it is in."""
    found = {}
    for name in sorted(project.files()):
        if name.endswith(".py") and not re.search(r"(^|/)(tests|e2e)\b", name):
            texts = Module(project.read(name)).messages()
        elif name == "Makefile" or name.endswith((".yml", ".mk")):
            source = VARIABLE.sub("…", project.read(name))
            texts = [match[2] or match[3] for match in ECHOED.finditer(source)]
        else:
            continue
        for text in texts:
            text = normalise(VARIABLE.sub("…", text))
            if re.search("[A-Za-z]{2,}", text):
                found.setdefault(text, name)
    return found


def normalise(text):
    """Return a text as one line, with one placeholder for several."""
    return PLACEHOLDER.sub("…", re.sub(r"\s+", " ", text)).strip()


class Module:
    """The source of a module, in which an expression is one of several texts."""

    def __init__(self, source):
        self.tree = ast.parse(source)
        self.functions = {
            node.name: node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef)
        }

    def messages(self):
        """Return the texts that are raised, printed as errors, or returned as reasons."""
        return list(self.visit(self.tree, self.tree))

    def visit(self, node, scope):
        for child in ast.iter_child_nodes(node):
            inner = child if isinstance(child, ast.FunctionDef) else scope
            for expression, is_reason in expressions(child):
                for text in self.texts(expression, inner):
                    # A returned word is a value, and a returned sentence a reason.
                    if not is_reason or len(text.split()) > 2:
                        yield text
            yield from self.visit(child, inner)

    def texts(self, node, scope, depth=0):
        """Return the texts that an expression can be."""
        if depth > DEPTH:
            return ["…"]

        def texts_of(*nodes):
            return [text for it in nodes for text in self.texts(it, scope, depth + 1)]

        def inner(node):
            """Return the texts inside another one: only sentences of ours are known."""
            found = texts_of(node) if isinstance(node, ast.Name | ast.Subscript) else []
            return [text if " " in text else "…" for text in found] or ["…"]

        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=parts):
                options = [
                    [it.value] if isinstance(it, ast.Constant) else inner(it.value)
                    for it in parts
                ]
                return ["".join(point) for point in itertools.product(*options)]
            case ast.BinOp(op=ast.Add()):
                pairs = itertools.product(texts_of(node.left), texts_of(node.right))
                return ["".join(pair) for pair in pairs]
            case ast.BinOp(op=ast.BitOr()):
                return texts_of(node.left, node.right)
            case ast.IfExp():
                return texts_of(node.body, node.orelse)
            case ast.BoolOp() | ast.Dict():
                return texts_of(*node.values)
            case ast.List() | ast.Tuple():
                return texts_of(*node.elts)
            case ast.NamedExpr() | ast.Subscript(value=ast.Name()):
                return texts_of(node.value)
            case ast.Name(id=name):
                values = assigned(scope, name) or assigned(self.tree, name)
                return texts_of(*values) or ["…"]
            case ast.Call(func=ast.Attribute(attr="format" | "strip", value=text)):
                return [re.sub(r"\{.*?\}", "…", it) for it in texts_of(text)]
            case ast.Call(func=ast.Attribute(attr="join"), args=[several]):
                elements = getattr(several, "elt", several)
                return texts_of(elements)
            case ast.Call(func=ast.Attribute(attr="get", value=table)):
                return texts_of(table, *node.args[1:])
            case ast.Call(
                func=ast.Name(id=name) | ast.Attribute(ast.Name("self"), attr=name)
            ) if function := self.functions.get(name):
                return [
                    text
                    for it in ast.walk(function)
                    if isinstance(it, ast.Return) and it.value
                    for text in self.texts(it.value, function, depth + 1)
                ]
        return ["…"]


def assigned(scope, name):
    """Return what a function or a module assigns to a name, without its functions."""
    nodes = ast.walk(scope) if isinstance(scope, ast.FunctionDef) else scope.body
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        and any(getattr(target, "id", None) == name for target in node.targets)
    ]


def expressions(node):
    """Yield each expression of a node that is a message, and whether it is a reason."""
    match node:
        case ast.Raise(exc=ast.Call(args=[first, *_])):
            yield first, False
        case ast.Call(args=[first, *_]) if ast.unparse(node.func) in PRINTING:
            # Standard output also has values, such as a word for a variable.
            yield first, ast.unparse(node.func) == "print" and not has_file(node)
        case ast.Call(args=arguments) if ast.unparse(node.func) in CHECK_MESSAGES:
            yield from ((it, False) for it in arguments[:2])
        case ast.Assign(targets=[ast.Name("BUILD_FAILED")], value=value):
            yield value, False  # deploy/render.py reads it.
        case ast.Call(func=ast.Attribute(attr="append"), args=[first]):
            yield first, True
        case ast.Return(
            value=ast.Call(func=ast.Name(id=name), args=[first, *_])
        ) if name[0].isupper():
            yield first, False  # It is an exception.
        case ast.Return(value=ast.expr() as value) | ast.Yield(
            value=ast.expr() as value
        ):
            yield value, True
    for keyword in getattr(node, "keywords", []):
        if keyword.arg in ("error", "hint"):
            yield keyword.value, False


def has_file(call):
    """Return whether print writes to another file, which is that of the errors."""
    return any(keyword.arg == "file" for keyword in call.keywords)
