"""The questions of copier.yml: their form, the answers they refuse, and their defaults."""

import keyword
import re
import sys

import copier
import jinja2
import pytest
import yaml

from tests.support.options import (
    CONFIGURATION,
    DEFAULTS,
    FULL,
    GROUPS,
    QUESTIONS,
    TEMPLATE,
    choices,
    labels,
)
from tests.support.rendering import quick_copier

KEYS = ["type", "help", "choices", "default", "when", "validator"]
COMPUTED = {
    name: question
    for name, question in CONFIGURATION.items()
    if not name.startswith("_") and name not in QUESTIONS
}
# https://copier.readthedocs.io/en/stable/configuring/#available-settings, without what needs
# trust: _jinja_extensions, _migrations and _tasks.
SETTINGS = {
    "_answers_file",
    "_envops",
    "_exclude",
    "_external_data",
    "_message_after_copy",
    "_message_after_update",
    "_message_before_copy",
    "_message_before_update",
    "_min_copier_version",
    "_preserve_symlinks",
    "_secret_questions",
    "_skip_if_exists",
    "_subdirectory",
    "_templates_suffix",
}

LINE = "Use one line, 1 to 200 characters."
LONGER_LINE = "One line, 1-500 characters."
LETTER = "Begin with a letter, a to z."
SLUG = "Use a-z, 0-9, single _ inside."
LONG_SLUG = "Use at most 40 characters."
RESERVED = "Reserved name; choose another."
EMAIL = "Use a form like name@example.com."
APP = "Use 3 to 30 of a-z, 0-9 and -."
APP_ENDS = "Use a letter first, no - last."
URL = "Use https:// and host name only."
SERVER = "Enter a name or IPv4 address."
NUMBER = "Use a number from 0 to 100."

REFUSED = [
    *(("project_name", text, LINE) for text in ("", " ", "two\nlines", "x" * 201)),
    *(("author_name", text, LINE) for text in ("", " ", "two\nlines", "x" * 201)),
    *(
        ("project_description", text, LONGER_LINE)
        for text in ("", " ", "two\nlines", "x" * 501)
    ),
    *(
        ("project_slug", text, LETTER)
        for text in ("", "My_Project", "1st", "_first", "\n")
    ),
    *(
        ("project_slug", text, SLUG)
        for text in (
            "my project",
            "my-project",
            "my_Project",
            "last_",
            "two__lines",
            "café",
            "line\n",
            "a'; DROP TABLE",
        )
    ),
    ("project_slug", "x" * 41, LONG_SLUG),
    *(
        ("project_slug", text, RESERVED)
        for text in ("class", "match", "json", "django", "users", "celery", "yes")
    ),
    *(
        ("author_email", text, EMAIL)
        for text in ("", "nobody", "a@b", "a b@example.com", '"a"@example.com')
    ),
    ("author_email", "a@example.com\n", EMAIL),
    *(
        ("staging_app", text, APP)
        for text in ("", "ab", "Shop", "my_shop", "x" * 31, "shop\n")
    ),
    *(("staging_app", text, APP_ENDS) for text in ("1-shop", "-shop", "shop-")),
    ("production_app", "shop.", APP),
    ("production_app", "-shop", APP_ENDS),
    ("production_app", "my-project-staging", "Use another name than staging's."),
    *(
        ("staging_url", text, URL)
        for text in (
            "",
            "example.com",
            "http://example.com",
            "https://example",
            "https://example.com/",
            "https://example.com:8443",
            "https://me@example.com",
            "https://-a.example.com",
            "https://Example.com",
            "https://example.com\n",
            "https://" + "x" * 64 + ".com",
        )
    ),
    ("production_url", "https://", URL),
    (
        "production_url",
        "https://staging.my-project.example.com",
        "Use another URL than staging's.",
    ),
    *(
        ("staging_server", text, SERVER)
        for text in (
            "",
            "https://example.com",
            "root@example.com",
            "example.com:22",
            "Example.com",
            "-a.example.com",
            "a..b",
            "two words",
            "example.com\n",
            "2001:db8::1",
        )
    ),
    ("production_server", "*", SERVER),
    ("coverage_threshold", -1, NUMBER),
    ("coverage_threshold", 101, NUMBER),
    ("python_version", "3.11", "Invalid choice for 'python_version'"),
]
ACCEPTED = [
    ("project_name", "x" * 200),
    ("project_name", "Café 🚀"),
    ("author_name", "O'Reilly & Söns"),
    ("project_description", "x" * 500),
    ("project_slug", "x"),
    ("project_slug", "shop_2_go"),
    ("project_slug", "a" * 40),
    ("author_email", "first.last+tag@sub.example.co.uk"),
    ("staging_app", "abc"),
    ("staging_app", "a" * 30),
    ("production_app", "shop--2"),
    ("staging_url", "https://a.b"),
    ("production_url", "https://" + "x" * 63 + ".xn--p1ai"),
    ("staging_server", "203.0.113.10"),
    ("production_server", "shop-1"),
    ("coverage_threshold", 0),
    ("coverage_threshold", 100),
]
# Together, these two ask every question: servers are asked for instead of apps.
ON_PLATFORM = {"deploy_target": "heroku"}
ON_SERVERS = {"deploy_target": "kamal", "use_docker": True}
# An invalid answer to each question but those answered with yes or no
RECORDED = {
    name: ("gone", f"Invalid choice for '{name}': 'gone' is not in ")
    for name, question in QUESTIONS.items()
    if "choices" in question
} | {question: (answer, sentence) for question, answer, sentence in REFUSED}
# Recorded answers, and a new one that contradicts them
DOCKER = "needs Docker: run this again with -d use_docker=true"
REDIS = "Needs Redis: add use_redis=true."
RENOVATE = "needs Renovate: run this again with -d use_renovate=true"
APPS = ON_PLATFORM | {"staging_app": "shop-1", "production_app": "shop-2"}
URLS = ON_PLATFORM | {"staging_url": "https://a.b", "production_url": "https://c.d"}
PAIRS = [
    ({"use_docker": True, "deploy_target": "fly"}, {"use_docker": False}, DOCKER),
    ({"use_docker": True, "deploy_target": "kamal"}, {"use_docker": False}, DOCKER),
    (
        {"use_docker": True, "deploy_target": "kubernetes"},
        {"use_docker": False},
        DOCKER,
    ),
    ({"template_updates": "renovate"}, {"use_renovate": False}, RENOVATE),
    ({"use_renovate": False}, {"template_updates": "renovate"}, RENOVATE),
    ({"use_redis": False}, {"use_celery": True}, REDIS),
    ({"use_redis": False}, {"use_channels": True}, REDIS),
    ({"use_docker": False}, {"deploy_target": "fly"}, DOCKER),
    ({"use_docker": False}, {"deploy_target": "kamal"}, DOCKER),
    ({"use_docker": False}, {"deploy_target": "kubernetes"}, DOCKER),
    (APPS, {"staging_app": "shop-2"}, "Use another name than staging's."),
    (APPS, {"production_app": "shop-1"}, "Use another name than staging's."),
    (URLS, {"staging_url": "https://c.d"}, "Use another URL than staging's."),
    (URLS, {"production_url": "https://a.b"}, "Use another URL than staging's."),
]
ODD_NAMES = {
    "My Project": "my_project",
    "Café 2!": "cafe_2",
    "Cafe\u0301": "cafe",
    "Straße Ünï": "strasse_uni",
    "O'Brien & Søn": "obrien_son",
    "🚀": "project",
    "123": "project_123",
    "2nd Shop": "project_2nd_shop",
    "class": "class_project",
    "Django": "django_project",
    "test": "test_project",
    "yes": "yes_project",
    "x" * 200: "x" * 40,
    "a" * 39 + " b": "a" * 39,
    "__init__": "init",
    "{{ 7*7 }}": "project_7_7",
}


@pytest.fixture
def ask(bare_template, tmp_path):
    """Return a function that answers the questions and returns all values."""

    def ask(**answers):
        with quick_copier():
            worker = copier.run_copy(
                str(bare_template), tmp_path, answers, defaults=True, quiet=True
            )
            return worker.answers.combined

    return ask


def extension(name):
    """Return a Jinja module of the template, with its variables and macros."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
        trim_blocks=True,
    )
    return environment.get_template(f"extensions/{name}.jinja").module


@pytest.fixture(scope="module")
def names():
    return extension("names")


def sources():
    """Return the text of every file that can use a computed value."""
    files = [path for path in (TEMPLATE / "template").rglob("*") if path.is_file()]
    texts = [path.read_text() for path in files if path.suffix == ".jinja"]
    return "\n".join([*texts, (TEMPLATE / "copier.yml").read_text()])


# Form


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_has_its_keys_in_order(name):
    keys = list(QUESTIONS[name])
    assert keys == [key for key in KEYS if key in keys]
    assert {"type", "help", "default"} <= set(keys)


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_fits_a_terminal_of_80_columns(name):
    assert "?" in QUESTIONS[name]["help"]
    assert len(QUESTIONS[name]["help"]) <= 76  # Copier cuts the rest.


@pytest.mark.parametrize(
    "name", [name for name in QUESTIONS if "choices" in QUESTIONS[name]]
)
def test_choices_fit_a_terminal_of_80_columns(name):
    assert all(len(label) <= 77 for label in labels(name).values())


@pytest.mark.parametrize("name", QUESTIONS)
def test_only_boolean_questions_are_named_use(name):
    assert name.startswith("use_") == (QUESTIONS[name]["type"] == "bool")


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_restricts_its_answers(name):
    question = QUESTIONS[name]
    assert (
        question["type"] == "bool" or "choices" in question or "validator" in question
    )


@pytest.mark.parametrize(
    "name", [name for name in QUESTIONS if "choices" in QUESTIONS[name]]
)
def test_default_is_one_of_the_choices(name):
    assert DEFAULTS[name] in choices(name)


def test_each_question_is_in_one_group():
    assert [name for names in GROUPS.values() for name in names] == list(QUESTIONS)


@pytest.mark.parametrize("target", choices("deploy_target"))
def test_each_target_asks_at_most_24_questions(target):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    conditions = [question.get("when", "True") for question in QUESTIONS.values()]
    row = extension("targets").targets[target]
    answers = {"use_redis": True, "use_docker": True, "ci_provider": "github"}
    asked = [
        environment.from_string(text).render(**answers, target=row)
        for text in conditions
    ]

    assert set(asked) <= {"True", "False"}
    assert asked.count("True") <= 24


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_value_has_type_and_default(name):
    assert list(COMPUTED[name]) == ["type", "default", "when"]


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_value_is_used_somewhere(name):
    uses = re.findall(rf"\b{name}\b(?!:)", sources())
    assert uses


@pytest.mark.parametrize(
    "name", [name for name in CONFIGURATION if name.startswith("_")]
)
def test_copier_setting_exists_and_needs_no_trust(name):
    assert name in SETTINGS


def test_every_excluded_path_exists():
    block = "\n".join(CONFIGURATION["_exclude"])
    paths = re.findall(r"^/(.+)$", block, re.MULTILINE)
    for name, target in extension("targets").targets.items():
        own = [f"/deploy/{name}.py"] if target["deploys"] else []
        paths += [path.removeprefix("/") for path in [*own, *target["files"]]]
    assert paths
    root = TEMPLATE / "template"
    missing = [
        path
        for path in paths
        if not (root / path).exists() and not (root / f"{path}.jinja").exists()
    ]
    assert not missing


# Refused answers


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [pytest.param(*row, id=f"{row[0]}-{str(row[1])[:20]!r}") for row in REFUSED],
)
def test_invalid_answer_is_refused_in_one_sentence(ask, question, answer, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        ask(**others(question) | {question: answer})
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) <= 80  # A terminal cuts the rest.


# Copier itself would take the default.
@pytest.mark.parametrize("question", RECORDED)
def test_recorded_answer_that_became_invalid_is_refused(ask, tmp_path, question):
    answer, sentence = RECORDED[question]
    recorded = others(question) | {question: answer}
    (tmp_path / ".copier-answers.yml").write_text(yaml.safe_dump(recorded))

    with pytest.raises(ValueError, match=re.escape(sentence)):
        ask()


@pytest.mark.parametrize(("recorded", "new", "sentence"), PAIRS)
def test_new_answer_that_contradicts_a_recorded_one_is_refused(
    ask, tmp_path, recorded, new, sentence
):
    (tmp_path / ".copier-answers.yml").write_text(yaml.safe_dump(recorded))

    with pytest.raises(ValueError, match=re.escape(sentence)):
        ask(**new)


@pytest.mark.parametrize(
    ("question", "answer"),
    [pytest.param(*row, id=f"{row[0]}-{str(row[1])[:20]}") for row in ACCEPTED],
)
def test_valid_answer_is_accepted(ask, question, answer):
    assert ask(**others(question) | {question: answer})[question] == answer


def others(question):
    """Return answers that make Copier ask this question."""
    on_servers = question.endswith(("_server", "_registry"))
    return ON_SERVERS if on_servers else ON_PLATFORM


def test_python_keywords_are_reserved(names):
    assert {*keyword.kwlist, *keyword.softkwlist} - {"_"} <= set(names.reserved)


def test_standard_modules_are_reserved(names):
    public = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    assert public <= set(names.reserved)


def test_modules_of_the_generated_project_are_reserved(names):
    root = TEMPLATE / "template"
    packages = {
        path.parent.name
        for folder in (root, root / "apps")
        for path in folder.glob("*/__init__.py*")
    }
    scripts = {path.stem for path in root.glob("*.py")}
    assert packages | scripts <= set(names.reserved)


def test_dependencies_of_the_generated_project_are_reserved(names):
    text = (TEMPLATE / "template/pyproject.toml.jinja").read_text()
    found = re.findall(r'^ *"([a-z][a-z-]+)[\[<=>]', text, re.MULTILINE)
    assert "celery" in found
    assert {name.replace("-", "_") for name in found} <= set(names.reserved)


ADOPT = "The folder, or one in it, has a manage.py. Use a new folder: the template cannot adopt a project."


@pytest.mark.parametrize("place", ["manage.py", "src/manage.py"])
def test_folder_with_another_django_project_is_refused(ask, tmp_path, place):
    (tmp_path / "src").mkdir()
    (tmp_path / place).touch()

    with pytest.raises(ValueError, match=ADOPT):
        ask()


def test_folder_with_the_characters_of_a_pattern_is_refused(bare_template, tmp_path):
    folder = tmp_path / "[a]*?"
    folder.mkdir()
    (folder / "manage.py").touch()

    with quick_copier(), pytest.raises(ValueError, match=ADOPT):
        copier.run_copy(str(bare_template), folder, defaults=True, quiet=True)


def test_folder_next_to_a_django_project_is_accepted(bare_template, tmp_path):
    (tmp_path / "manage.py").touch()

    with quick_copier():
        new = tmp_path / "new"
        copier.run_copy(str(bare_template), new, defaults=True, quiet=True)


@pytest.mark.parametrize("value", ["flase", "", "None", "2"])
def test_misspelled_answer_to_a_yes_or_no_question_is_refused(ask, value):
    with pytest.raises(
        ValueError, match=f"use_e2e with true or false, not with {value}"
    ):
        ask(use_redis="True", use_e2e=value)


@pytest.mark.parametrize("question", ["use_celery", "use_channels"])
def test_yes_to_what_needs_redis_is_refused_without_it(ask, question):
    with pytest.raises(ValueError, match=REDIS) as refusal:
        ask(**{question: "true"})
    assert len(str(refusal.value)) <= 80  # A terminal cuts the rest.


def test_recorded_answers_that_need_redis_end_with_it(ask, tmp_path):
    (tmp_path / ".copier-answers.yml").write_text(yaml.safe_dump(FULL))

    answers = ask(use_redis=False)

    assert not answers["has_worker"]
    assert not answers["has_channels"]


@pytest.mark.parametrize("value", ["abc", "", "90%", "9.5"])
def test_coverage_that_is_no_number_is_refused(ask, value):
    with pytest.raises(ValueError, match=f"from 0 to 100, not with {value}[.]"):
        ask(coverage_threshold=value)


def test_yes_or_no_questions_begin_with_use():
    bools = [name for name, it in QUESTIONS.items() if it["type"] == "bool"]
    assert bools == [name for name in QUESTIONS if name.startswith("use_")]


# Closing message

MADE_BY_DEFAULT = """\
Python 3.13, Django 6.1, PostgreSQL
Pipeline: GitHub Actions
Checks: 90 % coverage, vulnerabilities: report, unsafe migrations: warn
Packages: Renovate proposes newer ones
Template: make template-update brings newer versions
"""
# What the message lists for some answers, in place of a default or as well
MADE = {
    "plain": ({}, []),
    "redis": (FULL, ["Redis: the cache, Celery, Channels"]),
    "cache": ({"use_redis": True}, ["Redis: the cache"]),
    "docker": ({"use_docker": True}, ["Docker: an image, and Compose"]),
    "e2e": ({"use_e2e": True}, ["Pipeline: GitHub Actions, with tests in a browser"]),
    "gitlab": ({"ci_provider": "gitlab"}, ["Pipeline: GitLab CI"]),
    "lts": (
        {"django_version": "5.2", "python_version": "3.12"},
        ["Python 3.12, Django 5.2, PostgreSQL"],
    ),
    "enforce": (
        {
            "dependency_audit": "enforce",
            "migration_safety": "enforce",
            "coverage_threshold": 100,
        },
        [
            "Checks: 100 % coverage, vulnerabilities: enforce, unsafe migrations: enforce"
        ],
    ),
    "job": (
        {"template_updates": "job"},
        ["Template: a nightly job brings newer versions"],
    ),
} | {
    target: (
        {"deploy_target": target, "use_docker": True},
        [
            "Docker: an image, and Compose",
            f"Deployment: {name}, to staging and then to production",
        ],
    )
    for target, name in {
        "heroku": "Heroku",
        "render": "Render",
        "fly": "Fly.io",
        "kamal": "Kamal",
        "kubernetes": "Kubernetes",
    }.items()
}


@pytest.mark.parametrize(("answers", "lines"), MADE.values(), ids=MADE)
def test_closing_message_has_a_line_for_each_choice(
    bare_template, tmp_path, monkeypatch, capsys, answers, lines
):
    monkeypatch.chdir(tmp_path)
    with quick_copier():
        copier.run_copy(str(bare_template), "new", answers, defaults=True)

    message = capsys.readouterr().err
    message = message[message.index("Made:") :]
    printed = message.splitlines()
    made = [line.strip() for line in printed[2 : printed.index("", 2)]]
    usual = MADE_BY_DEFAULT.splitlines()
    kinds = [line.partition(":")[0].split()[0] for line in lines]
    kept = [line for line in usual if line.partition(":")[0].split()[0] not in kinds]
    assert sorted(made) == sorted([*kept, *lines])
    assert max(map(len, printed)) <= 80
    assert "\n\n\n" not in message
    assert not re.search(r"[ \n]\n\Z| \n", message)


@pytest.mark.parametrize("file", [".git/HEAD", ".git"])
def test_closing_message_names_the_repository_around_the_project(
    bare_template, tmp_path, monkeypatch, capsys, file
):
    outer = tmp_path.resolve() / "[an] outer one"
    (outer / file).parent.mkdir(parents=True)
    (outer / file).touch()
    monkeypatch.chdir(outer)
    with quick_copier():
        copier.run_copy(str(bare_template), "apps/new", defaults=True)

    message = capsys.readouterr().err
    assert f" is ready, but inside another repository:\n\n  {outer}\n\n" in message
    assert "outside of the other. Next:\n\n  cd apps/new\n  git init" in message
    assert max(len(it) for it in message.splitlines() if str(outer) not in it) <= 80


def test_closing_message_is_the_usual_one_in_a_repository_of_its_own(
    bare_template, tmp_path, monkeypatch, capsys
):
    for head in (".git/HEAD", "new/.git/HEAD"):
        (tmp_path / head).parent.mkdir(parents=True)
        (tmp_path / head).touch()
    monkeypatch.chdir(tmp_path)
    with quick_copier():
        copier.run_copy(str(bare_template), "new", defaults=True)

    assert " is ready. Next:\n\n  cd new\n" in capsys.readouterr().err


# Defaults


@pytest.mark.parametrize(
    ("name", "slug"), [pytest.param(*row, id=row[0][:20]) for row in ODD_NAMES.items()]
)
def test_default_slug_is_valid_for_any_name(ask, name, slug):
    assert ask(project_name=name)["project_slug"] == slug


@pytest.mark.parametrize(
    "slug", ["x", "shop_2_go", "a" * 40, "a" * 18 + "_b_" + "c" * 19]
)
def test_default_deployment_names_are_valid_for_any_slug(ask, slug):
    answers = ask(project_slug=slug, **ON_PLATFORM)

    assert re.fullmatch("[a-z][a-z0-9-]*[a-z0-9]", answers["staging_app"])
    assert len(answers["production_app"]) <= 30
    assert answers["production_url"].endswith(f"{slug.replace('_', '-')}.example.com")
    assert f"https://{answers['production_server']}" == answers["production_url"]


def test_every_reserved_word_gets_another_slug(names):
    slugs = {str(names.slug(word)) for word in names.reserved}
    assert not slugs & set(names.reserved)
    assert max(map(len, slugs)) <= 40


@pytest.mark.parametrize(
    "answers",
    [{}, ON_PLATFORM, ON_SERVERS]
    + [{"use_docker": True, "ci_provider": it} for it in choices("ci_provider")],
    ids=str,
)
def test_answer_to_a_skipped_question_leaves_no_trace(rendered, answers):
    plain = rendered(**answers)
    others = {
        # A file of answers for several projects has these.
        "use_celery": False,
        "use_channels": False,
        "image_registry": "other",
        "staging_app": "celery",
        "staging_server": "celery",
        "production_url": "https://celery.example.com",
    }
    skipped = others.keys() - yaml.safe_load(plain.read(".copier-answers.yml")).keys()
    project = rendered(**answers, **{name: others[name] for name in skipped})
    assert project.files() == plain.files()
    for name in project.files():
        assert "celery" not in project.read(name).lower(), name
        # The answers also say which copy of the template they are for.
        if name != ".copier-answers.yml":
            assert project.read(name) == plain.read(name), name
