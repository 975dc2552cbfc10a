"""A job that a team adds to the pipeline of its project."""

FILES = {
    "github": ".github/workflows/ci.yml",
    "gitlab": ".gitlab-ci.yml",
    "circleci": ".circleci/config.yml",
}
YOURS = "# Yours: an update changes nothing here."
GITHUB = """
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
CIRCLECI = """\
  greet:
    executor: python
    steps:
      - run:
          name: Greet
          command: echo hello
          no_output_timeout: 5m
"""


def add_job(provider, project):
    """Add the job `greet`, which runs on each change, where the template has a place for it.

    Return the file that has it.
    """
    name = FILES[provider]
    if provider == "circleci":
        end = f"  {YOURS}\n\nworkflows:\n"
        project.edit(name, end, f"  {YOURS}\n{CIRCLECI}\nworkflows:\n")
        project.edit(name, f"      {YOURS}\n", f"      {YOURS}\n      - greet\n")
    else:
        job = {"github": GITHUB, "gitlab": GITLAB}[provider]
        (project / name).write_text(project.read(name) + job)
    return project / name
