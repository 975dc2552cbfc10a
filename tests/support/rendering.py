"""Render projects for the tests, strictly."""

import jinja2

from tests.support.options import QUESTIONS
from tests.support.project import Project

compile_template, compiled = jinja2.Environment.compile, {}


def compile_once(environment, *source, **options):
    """Compile a template once for all projects: that is half of a copy's time."""
    settings = environment.trim_blocks, environment.lstrip_blocks, type(environment)
    key = (settings, source, *options.items())
    if key not in compiled:
        compiled[key] = compile_template(environment, *source, **options)
    return compiled[key]


jinja2.Environment.compile = compile_once


def copy_with(copie, template, answers):
    """Render a project. pytest-copie hides errors and takes any answer: this does not."""
    unknown = answers.keys() - QUESTIONS.keys()
    assert not unknown, f"not questions of copier.yml: {sorted(unknown)}"
    result = copie.copy(extra_answers=answers, template_dir=template)
    if result.exception:
        raise result.exception
    return Project(result.project_dir)


def renderer(copie, template):
    """Yield a function that renders projects; then end the services of those that ran."""
    projects = []

    def render(**answers):
        projects.append(copy_with(copie, template, answers))
        return projects[-1]

    yield render
    for project in projects:
        if (project / ".services").exists():
            project.run(".venv/bin/python", "scripts/services.py", "stop")
