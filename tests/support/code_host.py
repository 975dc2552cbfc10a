"""A stand-in for the servers of GitHub and GitLab: git over HTTP, and the API of requests.

python tests/support/code_host.py PORT FOLDER serves a folder that `make_host` has made. It is
as strict as the real ones: each token has only its own rights.
"""

import base64
import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

REPOSITORY = "team/name"
# What a token may do: push, open requests, and push the files of GitHub's workflows
JOB, FULL = ["push", "open"], ["push", "open", "workflows"]
# The messages are GitHub's own.
HOOK = """#!/bin/sh
while read -r old new ref; do
  case $ref in refs/heads/main) echo "protected branch hook declined"; exit 1;; esac
  case " $RIGHTS " in *" workflows "*) continue;; esac
  if git diff --name-only main "$new" -- .github/workflows | grep -q .; then
    echo 'refusing to allow a GitHub App to create or update workflow without `workflows` permission'
    exit 1
  fi
done
"""


def make_host(folder, project, tokens):
    """Make the folder of a server that has the branch main of a project and these tokens.

    `tokens` has the rights of each.
    """
    folder = Path(folder)
    repository = folder / f"{REPOSITORY}.git"
    clone = ("git", "clone", "--quiet", "--bare", project, repository)
    subprocess.run(clone, check=True)
    for setting in ("http.receivepack", "uploadpack.allowAnySHA1InWant"):
        subprocess.run(["git", "-C", repository, "config", setting, "true"], check=True)
    hook = repository / "hooks/pre-receive"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    (folder / "tokens.json").write_text(json.dumps(tokens))
    write_requests(folder, [])


def read_requests(folder):
    """Return all requests, the newest first, as GitHub describes them."""
    return json.loads((Path(folder) / "requests.json").read_text())


def write_requests(folder, requests):
    (Path(folder) / "requests.json").write_text(json.dumps(requests))


class Host(ThreadingHTTPServer):
    """A server for one repository and its requests."""

    daemon_threads = True

    def __init__(self, folder, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.folder = Path(folder)
        self.tokens = json.loads((self.folder / "tokens.json").read_text())
        self.before_push = lambda: None  # called when a push begins


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        """Log nothing."""

    def do_GET(self):
        self.handle_any()

    do_POST = do_PATCH = do_PUT = do_GET

    def handle_any(self):
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if path.startswith(f"/{REPOSITORY}.git/"):
            return self.serve_git(path, body)
        rights = self.server.tokens.get(self.token("Bearer"))
        if rights is None:
            return self.answer(401, {"message": "Bad credentials"})
        github = f"/api/repos/{REPOSITORY}/pulls"
        gitlab = "/api/v4/projects/7/merge_requests"
        if path.startswith(github):
            return self.serve(GitHub, rights, path.removeprefix(github), body)
        if path.startswith(gitlab):
            return self.serve(GitLab, rights, path.removeprefix(gitlab), body)
        if path.startswith("/api/v4/projects/7/"):
            return self.serve_job(path.removeprefix("/api/v4/projects/7/"))
        return self.answer(404, {"message": "Not Found"})

    def serve_job(self, path):
        """Serve the only job of any pipeline of GitLab, and the files in artifacts/."""
        if re.fullmatch(r"pipelines/\d+/jobs", path):
            return self.answer(200, [{"id": 5, "name": "template-update"}])
        place = path.removeprefix("jobs/5/artifacts/")
        file = self.server.folder / "artifacts" / place
        if place == path or not file.is_file():
            return self.answer(404, {"message": "404 Not Found"})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(file.read_bytes())

    def token(self, kind):
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        return value if scheme == kind else None

    def answer(self, status, content):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def serve(self, names, rights, number, body):
        """Serve the API of requests in the names of one of the hosts."""
        requests = read_requests(self.server.folder)
        if self.command == "GET":
            query = dict(parse_qsl(urlsplit(self.path).query))
            assert query.pop("state") == "all"
            assert query.pop("per_page") == "100"
            assert query == names.QUERY
            return self.answer(
                200, [names.describe(it | self.tip(it)) for it in requests]
            )
        if "open" not in rights:
            return self.answer(403, {"message": names.REFUSAL})
        data = json.loads(body)
        if len(data[names.BODY]) > names.MOST:
            return self.answer(422, {"message": "body is too long"})
        if self.command == "POST":
            assert data.keys() == {"title", names.BODY, names.HEAD, names.BASE}
            assert data[names.BASE] == "main"
            branch = f"refs/heads/{data[names.HEAD]}"
            if not self.commit(branch):
                return self.answer(422, {"message": "invalid head"})
            if any(it["state"] == "open" and "fork" not in it for it in requests):
                return self.answer(names.EXISTS, {"message": "It already exists."})
            new = {"number": len(requests) + 1, "state": "open", "merged_at": None}
            requests.insert(0, new)
        else:
            assert self.command == names.UPDATE
            assert data.keys() == {"title", names.BODY}
            new = next(it for it in requests if f"/{it['number']}" == number)
        new |= {"title": data["title"], "body": data[names.BODY]}
        write_requests(self.server.folder, requests)
        return self.answer(200, names.describe(new | self.tip(new)))

    def tip(self, request):
        """Return the newest commit of a request: a merged one keeps its own."""
        return {"sha": request.get("sha") or self.commit("refs/heads/template-update")}

    def commit(self, ref):
        """Return the commit of a branch, or nothing if there is none."""
        repository = self.server.folder / f"{REPOSITORY}.git"
        command = ["git", "-C", repository, "rev-parse", "--quiet", "--verify", ref]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def serve_git(self, path, body):
        """Serve git, as its own server does behind a web server."""
        try:
            login = base64.b64decode(self.token("Basic") or "").decode()
        except ValueError:
            login = ""
        rights = self.server.tokens.get(login.partition(":")[2])
        query = urlsplit(self.path).query
        if rights is None or "receive-pack" in path + query and "push" not in rights:
            self.send_response(401 if rights is None else 403)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            return self.end_headers()
        if "receive-pack" in query:
            self.server.before_push()
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            stdout=subprocess.PIPE,
            env=os.environ
            | {
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROJECT_ROOT": str(self.server.folder),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REMOTE_USER": "a person",
                "REQUEST_METHOD": self.command,
                "RIGHTS": " ".join(rights),
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class GitHub:
    """The names of https://docs.github.com/rest/pulls/pulls."""

    QUERY = {"head": "team:template-update", "base": "main"}
    HEAD, BASE, BODY = "head", "base", "body"
    UPDATE, EXISTS, MOST = "PATCH", 422, 65_536
    REFUSAL = "GitHub Actions is not permitted to create or approve pull requests."

    @staticmethod
    def describe(request):
        fork = request.get("fork", 7)
        return request | {
            "head": {"sha": request["sha"], "repo": {"id": fork} if fork else None},
            "base": {"repo": {"id": 7}},
            "html_url": f"https://host/pull/{request['number']}",
        }


class GitLab:
    """The names of https://docs.gitlab.com/api/merge_requests/."""

    QUERY = {"source_branch": "template-update", "target_branch": "main"}
    HEAD, BASE, BODY = "source_branch", "target_branch", "description"
    UPDATE, EXISTS, MOST = "PUT", 409, 1_048_576
    REFUSAL = "403 Forbidden"

    @staticmethod
    def describe(request):
        state = "merged" if request["merged_at"] else request["state"]
        return {
            "iid": request["number"],
            "sha": request["sha"],
            "title": request["title"],
            "description": request["body"],
            "state": "opened" if state == "open" else state,
            "source_project_id": request.get("fork", 7),
            "target_project_id": 7,
            "web_url": f"https://host/merge_requests/{request['number']}",
        }


if __name__ == "__main__":
    with Host(sys.argv[2], int(sys.argv[1])) as server:
        print("ready to accept connections", flush=True)
        server.serve_forever()
