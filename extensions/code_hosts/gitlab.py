"""Where scripts/template_request.py finds GitLab, and the names that its API has."""

import os

# Only a job has these.
SERVER = os.environ.get("CI_SERVER_URL", "")
REPOSITORY_URL = f"{SERVER}/{os.environ.get('CI_PROJECT_PATH', '')}.git"
API = os.environ.get("CI_API_V4_URL", "")
API += f"/projects/{os.environ.get('CI_PROJECT_ID', '')}/merge_requests"
USER = "token"
DEFAULT_BRANCH = os.environ.get("CI_DEFAULT_BRANCH", "")
LIST = "?state=all&per_page=100&source_branch=template-update"
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
