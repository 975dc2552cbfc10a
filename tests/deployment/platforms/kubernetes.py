"""Kubernetes, with a namespace for each environment."""

from tests.deployment.platforms.base import ByImage

CELERY = {
    "config/heartbeat.py",
    "deploy/kubernetes/base/beat.yaml",
    "deploy/kubernetes/base/worker.yaml",
}


class Kubernetes(ByImage):
    tool = "kubectl"
    held = "apply"
    stuck = {"STAND_IN_FAILS": "late"}
    reads = ["kubectl --namespace my-project-staging get"]
    reads += ["kubectl --namespace my-project-production get"]
    fails_before_switch = [
        ("staging", "migrate", "the migration failed: the Job migrate-.* failed"),
        ("production", "migrate", "the migration failed: the Job migrate-.* failed"),
    ]
    fails_during_switch = ["apply", "web-rollout", "worker-rollout", "beat-rollout"]
    fails_during_rollback = ["undo"]

    own_files = {
        "config/heartbeat.py",
        "deploy/image.py",
        "deploy/install_cli.py",
        "deploy/kubernetes.py",
        "deploy/kubernetes/access.yaml",
        "deploy/kubernetes/base/beat.yaml",
        "deploy/kubernetes/base/ingress.yaml",
        "deploy/kubernetes/base/kustomization.yaml",
        "deploy/kubernetes/base/migrate.yaml",
        "deploy/kubernetes/base/network.yaml",
        "deploy/kubernetes/base/web.yaml",
        "deploy/kubernetes/base/worker.yaml",
        "deploy/kubernetes/production/kustomization.yaml",
        "deploy/kubernetes/staging/kustomization.yaml",
    }
    trace = "kubernetes|kubectl|kustomize|k8s"
    # The commands of its manual with their options.
    commands = {
        "kubectl apply": {"--filename", "--namespace"},
        "kubectl config view": {"--flatten", "--minify", "--namespace", "--output"},
        "kubectl create namespace": set(),
        "kubectl create rolebinding": {"--namespace", "--role", "--serviceaccount"},
        "kubectl describe replicaset": {"--namespace"},
        "kubectl exec": {"--namespace"},
        "kubectl get replicasets": {"--namespace", "--output", "--sort-by"},
        "kubectl create secret docker-registry": {
            "--docker-password",
            "--docker-server",
            "--docker-username",
            "--namespace",
        },
        "kubectl create secret generic": {"--from-env-file", "--namespace"},
        "kubectl get pods": {"--namespace"},
        "kubectl label namespace": set(),
        "kubectl logs": {"--namespace", "--tail"},
        "kubectl patch serviceaccount": {"--namespace", "--patch"},
        "kubectl rollout undo": {"--namespace", "--to-revision"},
        "kubectl scale": {"--namespace", "--replicas"},
        "kubectl wait": {"--for", "--namespace"},
    }

    @classmethod
    def files(cls, answers):
        return cls.own_files - (set() if answers.get("use_celery") else CELERY)

    def create(self):
        """Create each namespace, with its secret and with Deployments that have no pod."""
        self.save(
            {
                name: {
                    "secrets": True,
                    "jobs": {},
                    "deployments": self.deployments(),
                    "applied": "none",
                    "replicas": {"web": 2, "worker": 1, "beat": 1},
                }
                for name in self.names.values()
            }
        )
        self.variables["IMAGE"] = self.image(self.commits[-1])

    def key(self, environment):
        return {"KUBECONFIG_CONTENT": f"very-secret: {self.names[environment]}"}

    def deployments(self, *revisions):
        return {name: list(revisions) for name in ("web", "worker", "beat")}

    def run_first(self):
        """Run the first commit in both environments."""
        commit, state = self.commits[0], self.state()
        for name in self.names.values():
            state[name]["deployments"] = self.deployments([1, self.image(commit), 1])
            self.serve(name, commit)
            self.serve(f"{name}-worker", commit)
            self.serve(f"{name}-beat", commit)
        self.save(state)

    def run_next(self, environment, commit):
        """Make an environment run one more commit."""
        state, name = self.state(), self.names[environment]
        for revisions in state[name]["deployments"].values():
            revisions.insert(0, [2, self.image(commit), 2])
        self.save(state)
        self.serve(name, commit)
        self.serve(f"{name}-worker", commit)
        self.serve(f"{name}-beat", commit)
