"""The generated pages describe the pipeline, job by job."""

import re
import sys

from tests.pipelines.answers import (
    EVERY_OPTION,
    check_pipelines,
    expected_of,
    of_every_provider,
)
from tests.pipelines.model import PIPELINE
from tests.pipelines.readers import parse
from tests.support.verdicts import code_of

CODE = code_of(sys.modules[__name__])
# The order of the jobs in the documented table
ORDER = ["lint", "test", "build", "publish", "audit", "deploy-staging", "e2e-staging"]
ORDER += ["deploy-production", "rollback-staging", "rollback-production"]
ORDER += ["newest", "e2e", "template-update", "template-request"]


def section(job):
    """Return the anchor of a job's section: both rollbacks share one, as does an approval."""
    if job.startswith("rollback"):
        return "rollback"
    return job.replace("approve-", "deploy-")


@of_every_provider
def test_each_job_names_its_section_of_the_page(rendered, provider):
    project = rendered(ci_provider=provider, **EVERY_OPTION)
    pairs = re.findall(
        r"# If it fails: docs/pipeline\.md#([\w-]+)\n *([\w-]+):",
        "".join(project.read(name) for name in parse(provider, project)),
    )
    for anchor, job in pairs:
        assert anchor == section(job)
    jobs = [job for jobs in PIPELINE.values() for job in jobs]
    assert {anchor for anchor, _ in pairs} == {section(job) for job in jobs}


def test_documented_table_is_the_pipeline(every_pipeline):
    def documents_the_pipeline(name, project):
        text = project.read("docs/pipeline.md")
        form = r"^\| \[([\w-]+)\]\(#([\w-]+)\) \| (.+) \| (.+) \| (.+) \|$"
        rows = re.findall(form, text, re.M)
        pipeline = expected_of(name)
        names = {name for jobs in pipeline.values() for name in jobs}
        assert [row[0] for row in rows] == [name for name in ORDER if name in names]
        for name, anchor, runs, when, sees in rows:
            assert anchor == section(name)
            assert f"### {anchor}\n" in text
            jobs = {flow: jobs[name] for flow, jobs in pipeline.items() if name in jobs}
            job = next(iter(jobs.values()))
            assert re.findall("`(.+?)`", runs) == job.run
            check_when(when, job, jobs.keys())
            check_sees(sees, job)

    check_pipelines(every_pipeline, documents_the_pipeline, CODE, "docs/pipeline.md")


def test_only_the_job_of_an_update_needs_a_checkout_key_that_can_only_read(rendered):
    def asks(updates):
        options = EVERY_OPTION | {"template_updates": updates}
        page = rendered(ci_provider="circleci", **options).read("docs/pipeline.md")
        return "replace it by a deploy key, which can only read" in page

    assert (asks("job"), asks("none")) == (True, False)


def check_when(when, job, workflows):
    """Check in which workflows, and after which jobs, the table says that a job runs."""
    assert ("on every change" in when) == (workflows >= {"request", "main"})
    assert ("request" in when) == (workflows == {"request"})
    assert ("push to main" in when) == (workflows == {"main"})
    assert ("started manually" in when) == (workflows == {"rollback"})
    assert ("with an approval" in when) == job.manual
    assert ("nightly" in when) == ("nightly" in workflows)
    assert ("may fail" in when) == job.may_fail
    after = re.search(r"after ([\w-]+)(?: and ([\w-]+))?", when)
    assert [it for it in (after.groups() if after else ()) if it] == job.needs


def check_sees(sees, job):
    """Check which services and secrets the table says that a job can use."""
    services = [image.partition(":")[0] for image in job.services]
    assert re.findall("postgres|redis", sees.lower()) == services
    assert ("registry" in sees) == ("registry" in job.secrets)
    assert ("can push" in sees) == ("template" in job.secrets)
    for environment in ("staging", "production"):
        assert (f"secrets of {environment}" in sees) == (environment in job.secrets)
