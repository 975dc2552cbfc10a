"""Graders of CircleCI's configuration."""

import re

from tests.graders.tools import documents, schema, shellcheck, walk

PARTS = ["commands", "executors", "jobs"]
PARAMETER = r"(pipeline\.)?\bparameters\.([\w-]+)"
STEPS = ["add_ssh_keys", "attach_workspace", "checkout", "persist_to_workspace"]
STEPS += ["restore_cache", "run", "save_cache", "setup_remote_docker"]
STEPS += ["store_artifacts", "store_test_results", "unless", "when"]


def circleci_schema(*paths):
    """Return where the files break SchemaStore's schema of CircleCI."""
    return schema("vendor.circle-ci", *paths)


def circleci_shellcheck(*paths):
    """Return shellcheck's findings in the command of every step."""

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
    config = config | {part: config.get(part) or {} for part in PARTS}
    for place, node in walk(config):
        where = ".".join(map(str, place))
        match place:
            case (*_, "steps", int()):
                found = misnamed_step(node, config)
            case ("jobs" | "workflows", *_):
                found = misnamed_part(place, node, config)
            case _:
                found = []
        found = [*found, *misnamed_parameters(place, node, config)]
        yield from (f"{where}: {finding}" for finding in found)


def misnamed_step(step, config):
    """Yield what a step gets wrong about the command that it calls."""
    if name(step) in config["commands"]:
        takes = config["commands"][name(step)].get("parameters", {})
        for argument in options(step).keys() - takes:
            yield f"{name(step)} takes no {argument}"
        for argument in takes.keys() - options(step):
            if "default" not in takes[argument]:
                yield f"{name(step)} requires {argument}"
    elif name(step) not in STEPS:
        yield f"no step is called {name(step)}"


def misnamed_part(place, node, config):
    """Yield the executors and jobs that a job or a workflow names and nothing defines."""
    match place:
        case ("jobs", _, "executor") if name(node) not in config["executors"]:
            yield f"no executor is called {name(node)}"
        case ("workflows", _, "jobs", int()) if name(node) not in config["jobs"]:
            if options(node).get("type") != "approval":
                yield f"no job is called {name(node)}"
        case ("workflows", workflow, "jobs", int(), _, "requires", int()):
            others = config["workflows"][workflow]["jobs"]
            names = {options(job).get("name", name(job)) for job in others}
            if name(node) not in names:
                yield f"no job of {workflow} is called {name(node)}"


def misnamed_parameters(place, node, config):
    """Yield the parameters that a text uses and nothing defines."""
    if isinstance(node, str) and len(place) > 1:
        scope = config[place[0]][place[1]] if place[0] in PARTS else {}
        for outer, parameter in re.findall(PARAMETER, node):
            known = (config if outer else scope).get("parameters", {})
            if parameter not in known:
                yield f"no parameter is called {parameter}"


def name(item):
    """Return the name of an item of a list: all of it, or the key of what it is given."""
    return item if isinstance(item, str) else next(iter(item))


def options(item):
    """Return what an item of a list is given."""
    return {} if isinstance(item, str) else item[name(item)] or {}
