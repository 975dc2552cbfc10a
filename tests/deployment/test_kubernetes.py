"""The manifests of a project, as kubectl builds them."""

import re
import shutil
import subprocess

import pytest
import yaml

from tests.deployment.platforms import Kubernetes
from tests.graders.contents import finds_defect, grade_text
from tests.graders.kubernetes import kubernetes_validate
from tests.support.machine import give_up
from tests.support.options import FULL, REDIS_STATES

DIGEST = f"sha256:{64 * 'a'}"
RELEASE = 40 * "b"
WRITE = """
import kubernetes, run
environment = run.Environment("staging", "", {"processes": ["web"]})
running = {"metadata": {"name": "web"}, "spec": {"replicas": 10}}
kubernetes.find_processes = lambda environment, kind: [running]
kubernetes.write_release(environment, "migrate-bbbbbbbbbbbb")
"""


@pytest.fixture
def build():
    """Return a function that returns the objects of a folder, as kubectl reads it."""
    if not shutil.which("kubectl"):
        give_up("there is no kubectl")

    def build(folder):
        done = subprocess.run(
            ["kubectl", "kustomize", folder], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return build


@pytest.fixture
def project(rendered, tmp_path):
    """Return a copy of a project with a worker, for the test to change."""
    shared = rendered(**FULL, use_docker=True, deploy_target="kubernetes")
    return shared.copy_to(tmp_path / "project")


def objects(text):
    return {(it["kind"], it["metadata"]["name"]): it for it in yaml.safe_load_all(text)}


def pods(text):
    """Return the pod specification of each object that creates pods."""
    return {
        name: it["spec"]["template"]["spec"]
        for name, it in objects(text).items()
        if "template" in it.get("spec", {})
    }


@pytest.mark.parametrize("environment", Kubernetes.names)
@pytest.mark.parametrize("answers", REDIS_STATES.values(), ids=REDIS_STATES)
def test_manifests_are_valid_in_every_environment(
    rendered, build, tmp_path, answers, environment
):
    project = rendered(**answers, use_docker=True, deploy_target="kubernetes")
    manifests = build(project / f"deploy/kubernetes/{environment}")

    assert grade_text(kubernetes_validate, manifests, tmp_path / "all.yaml") == []


def test_defect_in_a_manifest_is_found(project, build, tmp_path):
    project.edit("deploy/kubernetes/base/web.yaml", "maxSurge: 1", "maxSurge: [1]")
    manifests = build(project / "deploy/kubernetes/staging")

    assert finds_defect(kubernetes_validate, manifests, tmp_path / "all.yaml")


@pytest.mark.parametrize("environment", Kubernetes.names)
def test_each_environment_has_its_own_address(rendered, build, environment):
    urls = {name: f"https://{name}.example.org" for name in Kubernetes.names}
    project = rendered(
        use_docker=True,
        deploy_target="kubernetes",
        **{f"{name}_url": url for name, url in urls.items()},
    )
    found = objects(build(project / f"deploy/kubernetes/{environment}"))

    (settings,) = [it for (kind, _), it in found.items() if kind == "ConfigMap"]
    ingress = found["Ingress", "web"]["spec"]
    host = f"{environment}.example.org"
    assert settings["data"]["SITE_URL"] == urls[environment]
    assert (ingress["rules"][0]["host"], ingress["tls"][0]["hosts"]) == (host, [host])
    for it in found.values():
        assert it["metadata"]["namespace"] == f"my-project-{environment}"


def test_release_has_one_digest_its_own_job_and_its_replicas(project, build):
    project.run_ok(
        *("python3", "-c", WRITE),
        PYTHONPATH="deploy",
        IMAGE=f"registry.example.com/shop@{DIGEST}",
    )
    text = build(project / ".cache/deploy/staging")
    found = pods(text)

    for name, number in (("web", 10), ("worker", 1), ("beat", 1)):
        assert objects(text)["Deployment", name]["spec"]["replicas"] == number
    assert found.keys() == {
        ("Deployment", "web"),
        ("Deployment", "worker"),
        ("Deployment", "beat"),
        ("Job", "migrate-bbbbbbbbbbbb"),
    }
    for pod in found.values():
        (container,) = pod["containers"]
        assert container["image"] == f"registry.example.com/shop@{DIGEST}"


def test_variables_of_services_do_not_reach_the_pods(project, build):
    found = pods(build(project / "deploy/kubernetes/staging"))

    assert {pod["enableServiceLinks"] for pod in found.values()} == {False}


def test_pods_have_no_privileges(project, build):
    for pod in pods(build(project / "deploy/kubernetes/staging")).values():
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_pods_run_as_the_user_of_the_image(project, build):
    assert "\nUSER 10001:10001\n" in project.read("Dockerfile")
    for pod in pods(build(project / "deploy/kubernetes/staging")).values():
        security = pod["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (10001, 10001)


def test_rollout_keeps_every_pod_until_another_is_ready(project, build):
    found = objects(build(project / "deploy/kubernetes/staging"))
    web = found["Deployment", "web"]["spec"]
    (container,) = web["template"]["spec"]["containers"]

    assert web["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert web["replicas"] > found["PodDisruptionBudget", "web"]["spec"]["minAvailable"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}


@pytest.mark.parametrize("answers", REDIS_STATES.values(), ids=REDIS_STATES)
def test_network_policy_admits_only_the_servers_of_the_project(
    rendered, build, answers
):
    project = rendered(**answers, use_docker=True, deploy_target="kubernetes")
    text = build(project / "deploy/kubernetes/staging")
    policy = objects(text)["NetworkPolicy", "app"]["spec"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert ports(policy["ingress"]) == {"TCP 8000"}
    servers = {"UDP 53", "TCP 53", "TCP 5432", "TCP 443"}
    servers |= {"TCP 6379"} if answers["use_redis"] else set()
    assert ports(policy["egress"]) == servers | {"TCP 25", "TCP 465", "TCP 587"}


def test_network_policy_selects_only_the_pods_of_the_project(project, build):
    found = objects(build(project / "deploy/kubernetes/staging"))
    policy = found["NetworkPolicy", "app"]["spec"]
    templates = [
        it["spec"]["template"]
        for it in found.values()
        if "template" in it.get("spec", {})
    ]

    selector = {"app.kubernetes.io/name": "my-project"}
    assert policy["podSelector"] == {"matchLabels": selector}
    assert len(templates) == 4
    for template in templates:
        assert selector.items() <= template["metadata"]["labels"].items()


def test_selectors_of_deployments_stay_the_same(project, build):
    # The cluster refuses another selector for a Deployment that exists.
    for (kind, name), it in objects(
        build(project / "deploy/kubernetes/staging")
    ).items():
        if kind == "Deployment":
            component = {"app.kubernetes.io/component": name}
            assert it["spec"]["selector"] == {"matchLabels": component}


def ports(rules):
    return {
        f"{port.get('protocol', 'TCP')} {port['port']}"
        for rule in rules
        for port in rule["ports"]
    }


def test_one_beat_runs_at_a_time(project, build):
    found = objects(build(project / "deploy/kubernetes/staging"))
    beat = found["Deployment", "beat"]["spec"]

    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})
    (container,) = beat["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--schedule", "/tmp/beat"]
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_each_process_has_a_liveness_probe(project, build):
    found = pods(build(project / "deploy/kubernetes/staging"))

    for name in ("web", "worker", "beat"):
        (container,) = found["Deployment", name]["containers"]
        assert "livenessProbe" in container


def test_pod_stops_later_than_its_server(project, build):
    found = pods(build(project / "deploy/kubernetes/staging"))
    # The default of Kubernetes, which includes the pause of preStop.
    grace = found["Deployment", "web"].get("terminationGracePeriodSeconds", 30)

    assert "graceful_timeout = 20" in project.read("config/gunicorn.py")
    assert grace >= 20 + 5


APPLY = ("get", "create", "patch")
APPLIED = ["configmaps", "services", "deployments", "ingresses", "poddisruptionbudgets"]
APPLIED += ["networkpolicies"]
# The requests of kubectl, from the audit log of an API server of Kubernetes 1.36. Those
# that it sends only while it waits are from its source.
NEEDS = {
    "apply --kustomize": [f"{verb} {kind}" for verb in APPLY for kind in APPLIED]
    + ["get jobs", "create jobs"],
    "apply set-last-applied": ["get deployments", "patch deployments"],
    "delete job": ["get jobs", "list jobs", "watch jobs", "delete jobs"],
    "get deployments": ["list deployments"],
    "get jobs": ["list jobs"],
    "get pods": ["list pods"],
    "get replicasets": ["list replicasets"],
    "get secret": ["get secrets app"],
    "logs": ["get jobs", "list pods", "watch pods", "get pods/log"],
    "rollout status": ["get deployments", "list deployments", "watch deployments"],
    "rollout undo": ["get deployments", "list replicasets", "patch deployments"],
    "scale": ["patch deployments/scale"],
}


def test_deploy_role_is_least_privilege(project):
    text = project.read("deploy/kubernetes/access.yaml")
    [role] = [it for it in yaml.safe_load_all(text) if it["kind"] == "Role"]
    opened = {
        " ".join([verb, resource, *rule.get("resourceNames", [])])
        for rule in role["rules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
    }

    source = project.read("deploy/kubernetes.py")
    words = re.findall(r'kubectl\(environment, "(\w+)"(?:, "([a-z-]+)")?', source)
    kinds = re.findall(
        r'(?:get_objects|get_with_retries|find_processes)\(environment, "(\w+)"', source
    )
    commands = {" ".join(filter(None, pair)) for pair in words}
    assert commands | {f"get {kind}" for kind in kinds} == NEEDS.keys()
    assert opened == {need for needs in NEEDS.values() for need in needs}


def test_deploy_role_covers_each_applied_kind(project, build):
    applied = objects(build(project / "deploy/kubernetes/staging"))
    kinds = {kind.lower() for kind, _ in applied}
    plurals = {
        re.sub("y$", "ie", kind) + ("es" if kind.endswith("s") else "s")
        for kind in kinds
    }

    assert plurals == {*APPLIED, "jobs"}


def test_deploy_role_manifest_is_valid(project):
    assert kubernetes_validate(project / "deploy/kubernetes/access.yaml") == []
