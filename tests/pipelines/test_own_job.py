"""A job of a team's own changes nothing in the other jobs."""

from tests.pipelines.answers import EVERY_OPTION, of_every_provider
from tests.pipelines.model import expected
from tests.pipelines.readers import read
from tests.support.own_job import add_job


@of_every_provider
def test_reader_sees_a_new_job_next_to_the_others(rendered, tmp_path, provider):
    answers = EVERY_OPTION | {"ci_provider": provider}
    project = rendered(**answers).copy_to(tmp_path / "project")
    add_job(provider, project)

    pipeline = read(provider, project)

    for workflow in ("request", "main"):
        assert pipeline[workflow].pop("greet").run == ["echo hello"]
        for job in pipeline[workflow].values():
            # On GitLab, a job needs all jobs of the stage before its own.
            job.needs[:] = [name for name in job.needs if name != "greet"]
    assert pipeline == expected(**answers)
