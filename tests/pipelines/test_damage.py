"""The comparison of test_parity.py sees every damage to a pipeline."""

import pytest

from tests.pipelines.answers import EVERY_OPTION, KEYS, of_every_provider
from tests.pipelines.damages import DAMAGES, KEY_DAMAGES, damage
from tests.pipelines.model import expected, privileged
from tests.pipelines.readers import READERS, parse
from tests.pipelines.workflow_settings import expected_settings


@pytest.mark.parametrize(
    ("provider", "rows", "others"),
    [
        pytest.param(provider, rows, others, id=f"{provider}-{name}")
        for every, others in ((DAMAGES, {}), (KEY_DAMAGES, KEYS))
        for provider, damages in every.items()
        for name, rows in damages.items()
    ],
)
def test_comparison_sees_each_damage(rendered, provider, rows, others):
    answers = EVERY_OPTION | {"ci_provider": provider} | others
    reader = READERS[provider]
    files = reader.parse(rendered(**answers))
    assert reader.read(files) == expected(**answers)
    damage(files, rows)
    assert reader.read(files) != expected(**answers)


@of_every_provider
@pytest.mark.parametrize(
    ("name", "job"),
    [
        ("publish on a {request}", "publish"),
        ("deployment on a {request}", "deploy-staging"),
    ],
)
def test_comparison_sees_secrets_on_a_pull_request(rendered, provider, name, job):
    request = "merge request" if provider == "gitlab" else "pull request"
    files = parse(provider, rendered(ci_provider=provider, **EVERY_OPTION))
    damage(files, DAMAGES[provider][name.format(request=request)])
    assert privileged(READERS[provider].read(files)["request"])[0] == job


@of_every_provider
def test_comparison_sees_missing_workflow_settings(rendered, provider):
    project = rendered(ci_provider=provider)
    settings = READERS[provider].workflow_settings(parse(provider, project))
    for key in settings:
        others = {name: value for name, value in settings.items() if name != key}
        assert others != expected_settings(provider)


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (("no/such/key", "remove"), KeyError),
        (("lint/needs", "replace", []), KeyError),
        (("lint/script", "add", []), AssertionError),
        (("lint/script/make test", "remove"), AssertionError),
        (("lint/script/1", "remove"), AssertionError),
        (("test/script/make", "remove"), AssertionError),
        (("lint/script/0", "substitute", "make test", ""), AssertionError),
    ],
)
def test_damage_that_does_not_apply_is_an_error(rendered, row, error):
    files = parse("gitlab", rendered(ci_provider="gitlab"))
    with pytest.raises(error):
        damage(files, [row])
