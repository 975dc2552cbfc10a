"""Where scripts/template_request.py finds GitHub, and the names that its API has."""

import os
import re
import subprocess


def read_repository():
    """Return the owner and the name of the repository, from the address of origin."""
    command = ["git", "remote", "get-url", "origin"]
    address = subprocess.run(command, capture_output=True, text=True).stdout
    return re.sub(r".*[:/]([^/]+/[^/]+?)(\.git)?\n", r"\1", address)


REPOSITORY = os.environ.get("GITHUB_REPOSITORY") or read_repository()
SERVER = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
REPOSITORY_URL = f"{SERVER}/{REPOSITORY}.git"
API = os.environ.get("GITHUB_API_URL", "https://api.github.com")
API += f"/repos/{REPOSITORY}/pulls"
USER = "x-access-token"
DEFAULT_BRANCH = "main"
LIST = f"?state=all&per_page=100&base={DEFAULT_BRANCH}"
LIST += f"&head={REPOSITORY.split('/')[0]}:template-update"
UPDATE = "PATCH"
HEAD, BASE, BODY = "head", "base", "body"
NUMBER, URL = "number", "html_url"


def state(request):
    """Return open, closed or merged; nothing for a request from a fork."""
    # The owner may have a fork, too. One that is deleted has no repository.
    head, base = request["head"]["repo"], request["base"]["repo"]
    if not head or head["id"] != base["id"]:
        return ""
    return "merged" if request["merged_at"] else request["state"]


def tip(request):
    """Return the newest commit of a request's branch; of a merged one, when it was merged."""
    return request["head"]["sha"]
