"""Graders of Kubernetes manifests."""

from tests.graders.tools import lines, run


def kubernetes_validate(*paths):
    """Return what the schemas of Kubernetes refuse, and keys that they do not define."""
    options = ["--kubernetes-version=1.37", "--strict", "--quiet"]
    return lines(run("kubernetes-validate", *options, *paths))
