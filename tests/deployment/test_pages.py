"""The smoke test requests pages as a visitor, and passes what is in front of a site."""

import base64
import contextlib
import json
import select
import shutil
import socket
import ssl
import subprocess
from http.server import ThreadingHTTPServer

import pytest

from tests.deployment.platforms.base import CLOCK
from tests.deployment.sites import Handler, serving
from tests.support.machine import make_certificate
from tests.support.project import clean_environment

READY = json.dumps({"status": "ok", "release": "new", "checks": {"database": "ok"}})
LOGIN = "/admin/login/"
SECRET = "Basic bWU6dmVyeS1zZWNyZXQ="


class Site(ThreadingHTTPServer):
    """A site that responds with the status, and the headers, that a function returns."""

    daemon_threads = True

    def __init__(self, respond):
        super().__init__(("127.0.0.1", 0), Visit)
        self.respond = respond
        self.requests = []

    @property
    def url(self):
        return f"http://localhost:{self.server_port}"


class Visit(Handler):
    def do_GET(self):
        self.server.requests.append(self)
        found = self.server.respond(self)
        status, headers = found if isinstance(found, tuple) else (found, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(READY.encode())


def page_responds(*response):
    """Return a function that is ready, and has this response for the page of the admin."""
    return lambda visit: response if visit.path.startswith(LOGIN) else 200


@pytest.fixture
def deploy(rendered, tmp_path):
    """Return a copy of a project's folder deploy/."""
    project = rendered(deploy_target="heroku")
    return shutil.copytree(project / "deploy", tmp_path / "deploy")


@pytest.fixture
def smoke(deploy):
    """Return a function that tests a site as staging; it returns the code and the output."""

    def smoke(url, seconds="1", pages=None, **variables):
        settings = deploy / "environments.toml"
        default = "https://staging.my-project.example.com"
        text = settings.read_text().replace(default, url)
        if pages:
            text = text.replace(f'pages = ["{LOGIN}"]', f"pages = {json.dumps(pages)}")
        settings.write_text(text)
        done = subprocess.run(
            ["python3", "-B", deploy / "smoke.py", url, "new"],
            env=clean_environment(SMOKE_SECONDS=seconds, PYTHONPATH=CLOCK, **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout

    return smoke


# Pages


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ((500, {}), "responds with 500"),
        ((502, {}), "responds with 502"),
        ((400, {}), "responds with 400"),
        ((301, {"Location": f"{LOGIN}?smoke=1"}), "redirects to itself (301)"),
        ((302, {"Location": "../login/"}), "redirects to itself (302)"),
        ((302, {"Location": LOGIN}), "redirects to itself (302)"),
    ],
)
def test_broken_page_fails_the_smoke_test(smoke, response, reason):
    with serving(Site(page_responds(*response))) as site:
        code, text = smoke(site.url)

    assert code == 1
    assert text.endswith(f" after 1 s: release new runs, but {LOGIN} {reason}.\n")


def test_redirect_to_https_of_the_same_page_is_a_loop(smoke):
    with serving(Site(lambda visit: 200)) as site:
        location = f"https://localhost:{site.server_port}{LOGIN}"
        site.respond = page_responds(301, {"Location": location})
        code, text = smoke(site.url)

    assert code == 1
    assert "redirects to itself (301)" in text


@pytest.mark.parametrize(
    "response",
    [
        (302, {"Location": "/account/"}),
        (302, {"Location": f"{LOGIN}?lang=de"}),
        (302, {"Location": f"{LOGIN}?smoke=1&lang=de"}),
        (401, {}),
        (404, {}),
    ],
)
def test_other_responses_of_a_page_pass(smoke, response):
    with serving(Site(page_responds(*response))) as site:
        assert smoke(site.url)[0] == 0


def test_environment_lists_its_pages(smoke):
    def respond(visit):
        return 500 if visit.path.startswith(("/shop/", LOGIN)) else 200

    with serving(Site(respond)) as site:
        code, text = smoke(site.url, pages=["/", "/about/?lang=en", "/shop/"])
        paths = {visit.path.partition("smoke=")[0] for visit in site.requests}

    assert code == 1
    assert "/shop/ responds with 500" in text
    assert paths == {"/readyz?", "/?", "/about/?lang=en&", "/shop/?"}


def test_settings_without_pages_have_the_default(smoke, deploy):
    settings = deploy / "environments.toml"
    text = settings.read_text()
    settings.write_text("\n".join(it for it in text.splitlines() if "pages" not in it))

    with serving(Site(page_responds(500, {}))) as site:
        code, text = smoke(site.url)

    assert code == 1
    assert f"{LOGIN} responds with 500" in text


@pytest.mark.parametrize("broken", ["/readyz", LOGIN])
def test_one_good_response_of_five_is_not_enough(smoke, broken):
    def respond(visit):
        number = sum(it.path.startswith(broken) for it in visit.server.requests)
        return 502 if visit.path.startswith(broken) and number % 5 else 200

    with serving(Site(respond)) as site:
        code, text = smoke(site.url, "2")
        assert len(site.requests) > 10

    assert code == 1
    assert text.endswith("responds with 502.\n")


# What is in front of a site


def test_firewall_that_requires_a_user_agent_is_passed(smoke):
    def firewall(visit):
        agent = visit.headers.get("User-Agent", "")
        return 200 if agent and "python" not in agent.lower() else 403

    with serving(Site(firewall)) as site:
        assert smoke(site.url)[0] == 0


@pytest.mark.parametrize("honours_header", [True, False])
def test_cache_is_passed(smoke, honours_header):
    cached = {"/readyz", LOGIN}

    def cache(visit):
        fresh = visit.headers.get("Cache-Control") == "no-cache"
        known = visit.path.partition("?")[0] if honours_header else visit.path
        hit = known in cached and not (honours_header and fresh)
        cached.add(known)
        return 502 if hit else 200

    with serving(Site(cache)) as site:
        assert smoke(site.url)[0] == 0


def test_sign_on_gets_the_secret_header(smoke):
    def sign_on(visit):
        return 200 if visit.headers.get("Authorization") == SECRET else 401

    with serving(Site(sign_on)) as site:
        header = f"Authorization: {SECRET}\n"
        good = smoke(site.url, SMOKE_HEADER_STAGING=header)
        bad = smoke(site.url, SMOKE_HEADER_PRODUCTION=header)

    assert good[0] == 0
    assert bad[0] == 1
    assert "it responds with 401" in bad[1]
    assert SECRET not in good[1] + bad[1]


@pytest.mark.parametrize("text", [SECRET, f"A: {SECRET}\nB: c", f"A b: {SECRET}"])
def test_invalid_header_is_rejected_without_its_text(smoke, text):
    code, output = smoke("http://localhost:1", SMOKE_HEADER_STAGING=text)

    assert code == 2
    assert output.startswith("Set SMOKE_HEADER_STAGING to one line such as ")
    assert output.count("\n") == 1
    assert SECRET not in output


class Proxy(Handler):
    """A proxy that requires a password, and connects to the server whatever the name is."""

    def do_CONNECT(self):
        self.server.requests.append(self)
        word = base64.b64encode(b"me:word").decode()
        if self.headers.get("Proxy-Authorization") != f"Basic {word}":
            return self.send_error(407)
        self.send_response(200)
        self.end_headers()
        pair = [self.connection, socket.create_connection(self.server.target)]
        with pair[1], contextlib.suppress(OSError):
            while data := read_either(pair):
                data[1].sendall(data[0])
        self.close_connection = True


def read_either(pair):
    """Return what one of two connections sent, and the other one; nothing at the end."""
    (ready, *_), _, _ = select.select(pair, [], [])
    text = ready.recv(65_536)
    return text and (text, pair[ready is pair[0]])


@pytest.fixture
def secure_site(tmp_path):
    """Yield a site with TLS for localhost, whose certificate is in the file `ca`."""
    site = Site(lambda visit: 200)
    site.ca = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(site.ca, tmp_path / "ca.key")
    site.socket = context.wrap_socket(site.socket, server_side=True)
    with serving(site):
        yield site


@pytest.fixture
def proxy(secure_site):
    """Yield a proxy for the site."""
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    proxy.daemon_threads = True
    proxy.target, proxy.requests = secure_site.server_address, []
    with serving(proxy):
        yield proxy


def test_site_behind_a_proxy_is_reached_by_a_tunnel(smoke, secure_site, proxy):
    variables = {
        "HTTPS_PROXY": f"http://me:word@127.0.0.1:{proxy.server_port}",
        "SSL_CERT_FILE": str(secure_site.ca),
        "SMOKE_HEADER_STAGING": f"Authorization: {SECRET}",
    }
    url = f"https://localhost:{secure_site.server_port}"

    code, text = smoke(url, **variables)
    assert code == 0, text
    assert proxy.requests[0].path == url.partition("//")[2]
    assert "Authorization" not in proxy.requests[0].headers

    # NO_PROXY names the hosts that need none.
    proxy.requests.clear()
    code, text = smoke(url, **variables, NO_PROXY="example.org,localhost")
    assert code == 0, text
    assert not proxy.requests


def test_proxy_that_refuses_is_reported(smoke, secure_site, proxy):
    address = f"http://127.0.0.1:{proxy.server_port}"
    code, text = smoke("https://localhost:1", HTTPS_PROXY=address)

    assert code == 1
    assert (
        "the proxy refuses the connection (407 Proxy Authentication Required)" in text
    )
