"""Where scripts/template_request.py finds GitLab, and the names that its API has."""

import json
import os
import sys
import urllib.parse
import urllib.request
from pathlib import Path

# Only a job has these.
SERVER = os.environ.get("CI_SERVER_URL", "")
REPOSITORY_URL = f"{SERVER}/{os.environ.get('CI_PROJECT_PATH', '')}.git"
PROJECT = os.environ.get("CI_API_V4_URL", "")
PROJECT += f"/projects/{os.environ.get('CI_PROJECT_ID', '')}"
API = f"{PROJECT}/merge_requests"
USER = "token"
DEFAULT_BRANCH = os.environ.get("CI_DEFAULT_BRANCH", "")
LIST = "?state=all&per_page=100&source_branch=template-update"
LIST += f"&target_branch={urllib.parse.quote(DEFAULT_BRANCH)}"
UPDATE = "PUT"
HEAD, BASE, BODY = "source_branch", "target_branch", "description"
NUMBER, URL = "iid", "web_url"


def state(request):
    """Return open, closed or merged; nothing for a request from a fork."""
    if request["source_project_id"] != request["target_project_id"]:
        return ""
    return {"opened": "open"}.get(request["state"], request["state"])


def tip(request):
    """Return the newest commit of a request's branch; of a merged one, when it was merged."""
    return request["sha"]


def download():
    """Save the report, and the commit if there is one, of the job template-update.

    GitLab would pass on all artifacts of that job, also those that a new package uploads
    with the job's own token.
    """
    jobs = json.loads(
        get(f"/pipelines/{os.environ['CI_PIPELINE_ID']}/jobs?per_page=100")
    )
    (number,) = [it["id"] for it in jobs if it["name"] == "template-update"]
    artifacts = f"/jobs/{number}/artifacts/reports"
    report = get(f"{artifacts}/template.json")
    Path("reports").mkdir(exist_ok=True)
    Path("reports/template.json").write_bytes(report)
    if json.loads(report)["files"]:
        bundle = get(f"{artifacts}/template.bundle")
        Path("reports/template.bundle").write_bytes(bundle)


def get(address):
    """Return what the API answers. Exits with the reason if it fails."""
    sent = urllib.request.Request(PROJECT + address)
    token = os.environ.get("TEMPLATE_TOKEN", "").strip()
    # Not for the server of another address to which GitLab may redirect.
    sent.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(sent, timeout=60) as response:
            return response.read()
    except OSError as error:
        sys.exit(
            f"GET {sent.full_url}: {error}. Is TEMPLATE_TOKEN set? "
            "See docs/pipeline.md#template-request."
        )


if __name__ == "__main__":
    download()
