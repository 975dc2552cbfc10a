"""The option space, read from copier.yml."""

import ast
import itertools
import re
from pathlib import Path

import jinja2
import yaml

TEMPLATE = Path(__file__).resolve().parents[2]


def questions_in(configuration):
    """Return the questions of a copier.yml, without the values that it computes."""
    return {
        name: question
        for name, question in configuration.items()
        if not name.startswith("_") and question.get("when") is not False
    }


CONFIGURATION = yaml.safe_load((TEMPLATE / "copier.yml").read_text())
QUESTIONS = questions_in(CONFIGURATION)


def read_groups():
    """Return the names of the questions below each heading in copier.yml."""
    text = (TEMPLATE / "copier.yml").read_text()
    parts = re.split(r"^# (\w+)$", text, flags=re.MULTILINE)
    return {
        heading: [
            name
            for name in re.findall(r"^\w+", part, re.MULTILINE)
            if name in QUESTIONS
        ]
        for heading, part in zip(parts[1::2], parts[2::2], strict=True)
    }


GROUPS = read_groups()


def default(question):
    """Return what a new project gets, or None if that depends on other answers.

    A recorded answer takes precedence: see copier.yml.
    """
    given = question["default"]
    if question["type"] == "bool":
        return given
    found = re.fullmatch(r"\{\{ \w+ \| default\(('[^']*'|\d+)\) \}\}", given)
    return ast.literal_eval(found[1]) if found else None


# The answers that a project has without stating them
DEFAULTS = {
    name: value
    for name, question in QUESTIONS.items()
    if (value := default(question)) is not None
}


def validators(choices):
    """Return the validator of each value among the choices of a question, or an empty text."""
    listed = choices.values() if isinstance(choices, dict) else choices
    return {
        choice["value"] if isinstance(choice, dict) else choice: (
            choice["validator"] if isinstance(choice, dict) else ""
        )
        for choice in listed
    }


def values_of(question):
    """Return the values that a question with choices, or a yes-or-no question, can have.

    A validator without a condition refuses a removed choice.
    """
    if question["type"] == "bool":
        return [False, True]
    found = validators(question["choices"])
    return [value for value, text in found.items() if not text or "{" in text]


def choices(name):
    """Return the values of one of this template's questions."""
    return values_of(QUESTIONS[name])


def labels(name):
    """Return what the prompt shows for each value of a question with choices."""
    listed = QUESTIONS[name]["choices"]
    pairs = (
        listed.items() if isinstance(listed, dict) else zip(listed, listed, strict=True)
    )
    return {
        choice["value"] if isinstance(choice, dict) else choice: label
        for label, choice in pairs
    }


def redis_states():
    """Return each distinct set of answers to the questions about Redis, named for a test id."""
    states = {"none": {"use_redis": False}}
    for celery, channels in itertools.product(
        choices("use_celery"), choices("use_channels")
    ):
        name = "redis" + "-celery" * celery + "-channels" * channels
        states[name] = {
            "use_redis": True,
            "use_celery": celery,
            "use_channels": channels,
        }
    return states


REDIS_STATES = redis_states()
NEED_DOCKER = {
    value
    for value, text in validators(QUESTIONS["deploy_target"]["choices"]).items()
    if "{" in text
}
FULL = REDIS_STATES["redis-celery-channels"]


def is_offered(answers):
    """Return whether Copier accepts these answers: some targets need an image."""
    if answers.get("template_updates") == "renovate":
        return answers.get("use_renovate", True)
    needs_image = answers.get("deploy_target") in NEED_DOCKER
    return answers.get("use_docker", False) or not needs_image


def is_asked(question, answers):
    """Return whether Copier asks a question that depends on these answers."""
    condition = jinja2.Template(QUESTIONS[question]["when"])
    return condition.render(answers) == "True"


def label(question, value):
    """Return the part of a test id for an answer, which is empty for no."""
    return str(value) if not isinstance(value, bool) else question * value


def combinations(*questions):
    """Return every combination of the named questions' choices, as answers by test id.

    "redis" stands for the three questions about Redis. Answers that the questions do not
    offer together are left out.
    """
    axes = [
        (
            list(REDIS_STATES.items())
            if question == "redis"
            else [
                (label(question, value), {question: value})
                for value in choices(question)
            ]
        )
        for question in questions
    ]
    points = {
        "-".join(name for name, _ in point if name): {
            key: value for _, answers in point for key, value in answers.items()
        }
        for point in itertools.product(*axes)
    }
    return {name: answers for name, answers in points.items() if is_offered(answers)}


VERSIONS = ("django_version", "python_version")
EVERY_COMBINATION = combinations(
    "ci_provider", "redis", "use_docker", "deploy_target", *VERSIONS
)
# Only the pipeline depends on what happens when a dependency has a known vulnerability, and
# little else on the tests in a browser and on updates of the template. These are in turn, so
# that each is met together with each other answer.
UPDATES = ("none", "job", "renovate", "job", "none")
ENFORCING = {
    f"{name}-enforce": answers
    | {
        "dependency_audit": "enforce",
        "use_e2e": use_e2e,
        "template_updates": template_updates,
    }
    for (name, answers), use_e2e, template_updates in zip(
        combinations("ci_provider", "redis", "use_docker", "deploy_target").items(),
        itertools.cycle(choices("use_e2e")),
        itertools.cycle(UPDATES),
        strict=False,
    )
}

OTHER_REGISTRY = {
    f"{name}-other": answers | {"image_registry": "other"}
    for name, answers in combinations(
        "ci_provider", "use_docker", "deploy_target"
    ).items()
    if is_asked("image_registry", answers)
}


def without_updates():
    """Return combinations without Renovate, by name.

    Each choice of the questions about the provider, Redis, Docker, the target, the versions,
    the audit, the migrations and the browser is in at least one of them, and so is a job for
    updates of the template.
    """
    targets = combinations("use_docker", "deploy_target").items()
    others = [
        itertools.cycle(combinations(question).items())
        for question in (
            *("ci_provider", "redis", *VERSIONS),
            *("dependency_audit", "migration_safety", "use_e2e"),
        )
    ]
    # Renovate brings no updates of the template without Renovate.
    updates = {"": {}, "job": {"template_updates": "job"}}
    others.append(itertools.cycle(updates.items()))
    found = {}
    for point in zip(targets, *others, strict=False):
        name = "-".join(name for name, _ in point if name)
        answers = {key: it for _, answers in point for key, it in answers.items()}
        found[name] = answers | {"use_renovate": False}
    return found


WITHOUT_UPDATES = without_updates()
