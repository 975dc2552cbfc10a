"""A job that a team adds to the pipeline of its project."""

FILES = {
    "github": ".github/workflows/ci.yml",
    "gitlab": ".gitlab-ci.yml",
    "circleci": ".circleci/config.yml",
}
GITHUB = """
jobs:
  greet:
    name: greet
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions: {}
    steps:
      - name: Greet
        run: echo hello

"""
GITLAB = """
greet:
  extends: .on-change
  stage: lint
  script:
    - echo hello
"""
CIRCLECI = """
jobs:
  greet:
    executor: python
    steps:
      - run:
          name: Greet
          command: echo hello
          no_output_timeout: 5m
"""


def add_job(provider, project):
    """Add the job `greet`, which runs on each change; return the file that has it."""
    name = FILES[provider]
    if provider == "gitlab":
        text = project.read(name) + GITLAB
        (project / name).write_text(text)
    else:
        job = {"github": GITHUB, "circleci": CIRCLECI}[provider]
        project.edit(name, "\njobs:\n", job)
    if provider == "circleci":
        lint = 'run == "ci"\n    jobs:\n      - lint\n'
        project.edit(name, lint, f"{lint}      - greet\n")
    return project / name
