"""The option space, read from copier.yml."""

import itertools
from pathlib import Path

import yaml

TEMPLATE = Path(__file__).resolve().parent.parent
CONFIGURATION = yaml.safe_load((TEMPLATE / "copier.yml").read_text())
QUESTIONS = {
    name: question
    for name, question in CONFIGURATION.items()
    if not name.startswith("_") and question.get("when") is not False
}


def choices(name):
    """Return the values that a question with choices, or a yes-or-no question, can have."""
    question = QUESTIONS[name]
    if question["type"] == "bool":
        return [False, True]
    found = question["choices"]
    return list(found.values()) if isinstance(found, dict) else found


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


def combinations(*questions):
    """Return every combination of the named questions' choices, as answers by test id.

    "redis" stands for the three questions about Redis.
    """
    axes = [
        (
            list(REDIS_STATES.items())
            if question == "redis"
            else [(str(value), {question: value}) for value in choices(question)]
        )
        for question in questions
    ]
    return {
        "-".join(name for name, _ in point): {
            key: value for _, answers in point for key, value in answers.items()
        }
        for point in itertools.product(*axes)
    }


EVERY_COMBINATION = combinations(
    "ci_provider", "redis", "django_version", "python_version"
)
