"""What each file of a project depends on, and its text for each of these answers.

A file has segments: each expression, each text between two tags and each loop of its Jinja
template is one. A segment depends on the questions whose names it reads, and on those of the
conditions and the includes around it. Copier's own environment renders it for each set of
answers to these, with a mark before and after it.
"""

import functools
import re
from pathlib import Path

from jinja2 import nodes

from start_page.questions import (
    combinations,
    context,
    environment,
    key,
    names_in,
    parse,
    questions_of,
    root,
    source_of,
    template,
    template_files,
    worker,
)

BEGIN, MIDDLE, END = "\ue000", "\ue001", "\ue002"
MARK = re.compile(f"({BEGIN}\\d+{MIDDLE}|{END})")
ANSWERS = "_copier_answers"
# Statements that only set a name: what reads it depends on what they read.
SILENT = (nodes.Assign, nodes.AssignBlock, nodes.Macro)
SILENT += (nodes.Extends, nodes.FromImport, nodes.Import)


class Marks:
    """The marks of templates: each stands for a part, and knows the names that the part reads."""

    def __init__(self):
        self.names, self.leaves = [], set()

    def parse(self, parse, source, name, filename):
        """Parse a template as Jinja's environment does, with marks, unless others import it."""
        tree = parse(source, name, filename)
        if name in imported():
            return tree
        tree.body = self.around_each(tree.body)
        return tree.set_environment(environment())

    def around_each(self, body):
        """Return statements with marks around each part that prints something."""
        found = []
        for node in body:
            if isinstance(node, nodes.Output):
                for child in node.nodes:
                    single = nodes.Output([child], lineno=node.lineno)
                    found += self.around(single, names_in(child), is_leaf=False)
            elif isinstance(node, SILENT):
                found.append(node)
            else:
                found += self.around(node, *self.enter(node))
        return found

    def enter(self, node):
        """Mark the parts of a statement; return what it reads itself, and if it is one part."""
        if isinstance(node, nodes.If):
            tests = [node.test, *(it.test for it in node.elif_)]
            for branch in (node, *node.elif_):
                branch.body = self.around_each(branch.body)
            node.else_ = self.around_each(node.else_)
            return set().union(*map(names_in, tests)), False
        if isinstance(node, nodes.With | nodes.Block):
            node.body = self.around_each(node.body)
            return set(), False
        if isinstance(node, nodes.Include):
            return names_in(node.template), False
        included = map(included_names, node.find_all(nodes.Include))
        return names_in(node).union(*included), True

    def around(self, node, names, is_leaf):
        """Return a statement between two marks."""
        number = len(self.names)
        self.names.append(names)
        if is_leaf:
            self.leaves.add(number)
        begin, end = f"{BEGIN}{number}{MIDDLE}", END
        return [text(begin, node), node, text(end, node)]


def text(content, near):
    """Return a statement that prints a text, at the line of another node."""
    data = nodes.TemplateData(content, lineno=near.lineno)
    return nodes.Output([data], lineno=near.lineno)


def included_names(node):
    """Return the names that a file reads which is included in a loop."""
    return names_in(parse(source_of(node.template.value)))


@functools.cache
def imported():
    """Return the templates whose macros and values others import."""
    found = set()
    for path in template_files():
        for node in parse(path.read_text()).find_all((nodes.FromImport, nodes.Import)):
            found.add(node.template.value)
    return found


@functools.cache
def local_names():
    """Return, for each name that any template sets, the names that its value depends on."""
    found = {}
    for path in template_files():
        for name, names in set_names(parse(path.read_text())):
            found.setdefault(name, set()).update(names)
    return found


def set_names(node, around=frozenset()):
    """Yield each name that a template sets, with the names that its value depends on.

    `around` has the names in the conditions around the node.
    """
    targets, names = [], around
    if isinstance(node, nodes.If):
        tests = [node.test, *(it.test for it in node.elif_)]
        around = around.union(*map(names_in, tests))
    elif isinstance(node, nodes.Assign):
        targets, names = names_in(node.target), around | names_in(node.node)
    elif isinstance(node, nodes.AssignBlock):
        targets, names = names_in(node.target), around.union(*map(names_in, node.body))
    elif isinstance(node, nodes.For):
        targets, names = names_in(node.target), around | names_in(node.iter)
    elif isinstance(node, nodes.Macro):
        targets, names = [node.name], around | names_in(node)
    elif isinstance(node, nodes.With):
        for target, value in zip(node.targets, node.values, strict=True):
            yield from ((name, around | names_in(value)) for name in names_in(target))
    yield from ((name, names) for name in targets)
    for child in node.iter_child_nodes():
        yield from set_names(child, around)


marks = Marks()


@functools.cache
def marking_environment():
    """Return Copier's environment, which marks the segments of what it renders."""
    kept = environment()
    marking = kept.overlay()
    # tests/support/rendering.py keeps compiled templates by the type of the environment.
    marking.__class__ = type("Marking", (type(kept),), {})
    original = marking._parse
    marking._parse = functools.partial(marks.parse, original)
    return marking


def segments_in(rendered):
    """Yield the path of marks and the text of each segment of a marked text."""
    path, collected = [], []
    for part in MARK.split(rendered):
        leaf = next((at for at, mark in enumerate(path) if mark in marks.leaves), None)
        if part.startswith(BEGIN):
            if leaf is None:
                yield tuple(path), "".join(collected)
                collected = []
            path.append(int(part[1:-1]))
        elif part == END:
            if leaf is None or leaf == len(path) - 1:
                yield tuple(path), "".join(collected)
                collected = []
            path.pop()
        else:
            collected.append(part)
    assert not path
    yield (), "".join(collected)


@functools.cache
def files():
    """Return the path of each file in a project, by its path in the template."""
    folder = root() / "template"
    found = {}
    for path in sorted(it for it in folder.rglob("*") if it.is_file()):
        source = path.relative_to(root())
        target = str(path.relative_to(folder)).replace(
            "{{ _copier_conf.answers_file }}", ".copier-answers.yml"
        )
        assert "{" not in target, target
        found[str(source)] = target.removesuffix(".jinja")
    return found


@functools.cache
def matched(pattern):
    """Return the files that a line of `_exclude` leaves out."""
    assert not pattern.startswith("!"), pattern
    match = worker()._path_matcher([pattern])
    return {source for source, target in files().items() if match(Path(target))}


@functools.cache
def existence():
    """Return the questions on which it depends which files exist, and the files by answers."""
    patterns = worker().all_exclusions
    names = set().union(*(names_in(parse(pattern)) for pattern in patterns))
    questions, table = questions_of(names, local_names()), {}
    for answers in combinations(questions):
        values = context(answers) | {"_copier_operation": "copy"}
        lines = "\n".join(template(it).render(values) for it in patterns).splitlines()
        excluded = set().union(*map(matched, filter(None, lines)))
        table[key(answers, questions)] = files().keys() - excluded
    return questions, table


def segments(name, exists):
    """Return the segments of a template, in order: their questions, and their texts by answers.

    `name` is relative to the repository, `exists` is the table of the answers with which a
    project has the file. The text of the recorded answers is None.
    """
    needed, presence = exists
    tree = parse(source_of(name))
    # The file that a template extends can depend on answers.
    base = set().union(*(names_in(it.template) for it in tree.find_all(nodes.Extends)))
    marked = marking_environment().get_template(name)
    tables, questions = {}, {}

    def read(answers):
        values = context(answers) | {ANSWERS: {ANSWERS: "all"}}
        found = {}
        for path, part in segments_in(marked.render(values)):
            found[path] = found.get(path, "") + part
        for path in found:
            if path not in tables:
                names = base.union(*(marks.names[mark] for mark in path))
                is_record = path and ANSWERS in marks.names[path[-1]]
                questions[path] = questions_of(names, local_names())
                tables[path] = None if is_record else {}
        for path, table in tables.items():
            if table is not None:
                at, part = key(answers, questions[path]), found.get(path, "")
                is_same = table.setdefault(at, part) == part
                assert is_same, f"{name}: {path} has two texts for {at}"

    def possible(questions):
        return (
            answers
            for answers in combinations(questions | needed)
            if presence[key(answers, needed)]
        )

    read(next(possible(frozenset())))
    done = set()
    while waiting := [path for path in tables if path not in done]:
        path = max(waiting, key=lambda path: len(questions[path]))
        table = tables[path]
        for answers in possible(questions[path]):
            is_known = table is None or key(answers, questions[path]) in table
            if not is_known:
                read(answers)
        done.add(path)
    return [(questions[path], tables[path]) for path in sorted(tables)]
