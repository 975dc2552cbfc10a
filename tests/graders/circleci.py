"""Graders of CircleCI's configuration."""

import re

from tests.graders.tools import documents, schema, shellcheck, walk

PARTS = ["commands", "executors", "jobs"]
PARAMETER = r"(pipeline\.)?\bparameters\.([\w-]+)"
STEPS = ["add_ssh_keys", "attach_workspace", "checkout", "persist_to_workspace"]
STEPS += ["restore_cache", "run", "save_cache", "setup_remote_docker"]
STEPS += ["store_artifacts", "store_test_results", "unless", "when"]


def circleci_schema(*paths):
    """Find where the files break SchemaStore's schema of CircleCI."""
    return schema("vendor.circle-ci", *paths)


def circleci_shellcheck(*paths):
    """Find what shellcheck does in the command of every step."""

    def scripts(place, node):
        if place[-1] == "run":
            command = node.get("command") if isinstance(node, dict) else node
            # CircleCI fills in its expressions before a shell sees them.
            yield re.sub(r"<<[\s\w.-]+>>", "value", str(command))

    return shellcheck(scripts, *paths)


def circleci_names(*paths):
    """Find names that nothing has, and arguments that nothing takes: no schema does."""
    findings = []
    for path, config in documents(paths, findings):
        findings += [f"{path}: {finding}" for finding in misnamed(config)]
    return findings


def misnamed(config):
    """Yield what the parts of a CircleCI file get wrong when they name each other.

    It knows no orb and no job group.
    """
    commands, executors, jobs = (config.get(part) or {} for part in PARTS)
    for place, node in walk(config):
        where = ".".join(map(str, place))
        match place:
            case (*_, "steps", int()) if name(node) in commands:
                takes = commands[name(node)].get("parameters", {})
                for argument in options(node).keys() - takes:
                    yield f"{where}: {name(node)} takes no {argument}"
                for argument in takes.keys() - options(node):
                    if "default" not in takes[argument]:
                        yield f"{where}: {name(node)} wants {argument}"
            case (*_, "steps", int()) if name(node) not in STEPS:
                yield f"{where}: no step is called {name(node)}"
            case ("jobs", _, "executor") if name(node) not in executors:
                yield f"{where}: no executor is called {name(node)}"
            case ("workflows", _, "jobs", int()) if name(node) not in jobs:
                if options(node).get("type") != "approval":
                    yield f"{where}: no job is called {name(node)}"
            case ("workflows", workflow, "jobs", int(), _, "requires", int()):
                others = config["workflows"][workflow]["jobs"]
                names = {options(job).get("name", name(job)) for job in others}
                if name(node) not in names:
                    yield f"{where}: no job of {workflow} is called {name(node)}"
            case (part, owner, *_) if isinstance(node, str):
                scope = config[part][owner] if part in PARTS else {}
                for outer, parameter in re.findall(PARAMETER, node):
                    known = (config if outer else scope).get("parameters", {})
                    if parameter not in known:
                        yield f"{where}: no parameter is called {parameter}"


def name(item):
    """Return the name of an item of a list: all of it, or the key of what it is given."""
    return item if isinstance(item, str) else next(iter(item))


def options(item):
    """Return what an item of a list is given."""
    return {} if isinstance(item, str) else item[name(item)] or {}
