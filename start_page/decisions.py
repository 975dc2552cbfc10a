"""Tables of answers as decisions: one question after the other, without those that change nothing."""

from start_page.questions import CHOICES, ORDER


class Decisions:
    """Decisions, of which each distinct one is kept once.

    `results` has what they lead to. A reference is the number of a result, or -1 - the number
    of a node. A node has the number of its question, and a reference for each of its choices;
    one that no project can have is None.
    """

    def __init__(self):
        self.results, self.nodes = [], []
        self.known_results, self.known_nodes = {}, {}

    def result(self, value):
        """Return the reference of a result."""
        if value not in self.known_results:
            self.known_results[value] = len(self.results)
            self.results.append(value)
        return self.known_results[value]

    def decide(self, questions, table):
        """Return the reference of a table, whose keys are answers to these questions in order."""
        return self.build([name for name in ORDER if name in questions], dict(table))

    def build(self, questions, table):
        values = set(table.values())
        if len(values) == 1:
            return self.result(values.pop())
        name, *others = questions
        children = []
        for choice in CHOICES[name]:
            part = {at[1:]: it for at, it in table.items() if at[0] == choice.value}
            children.append(self.build(others, part) if part else None)
        possible = {it for it in children if it is not None}
        if len(possible) == 1:
            return possible.pop()
        node = (ORDER.index(name), *children)
        if node not in self.known_nodes:
            self.known_nodes[node] = -1 - len(self.nodes)
            self.nodes.append(node)
        return self.known_nodes[node]

    def support(self, reference):
        """Return the numbers of the questions on which a decision depends."""
        if reference is None or reference >= 0:
            return frozenset()
        question, *children = self.nodes[-1 - reference]
        return frozenset([question]).union(*map(self.support, children))

    def follow(self, reference, answers):
        """Return what a decision leads to with these answers to all questions with choices."""
        return self.results[self.find(reference, answers)]

    def find(self, reference, answers):
        """Return the number of the result that a decision leads to."""
        while reference < 0:
            question, *children = self.nodes[-1 - reference]
            name = ORDER[question]
            values = [choice.value for choice in CHOICES[name]]
            reference = children[values.index(answers[name])]
        return reference
