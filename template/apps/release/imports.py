"""Find imports that fail in production, where only requirements.txt is installed.

python -m apps.release.imports   before Django starts, which a missing module ends
"""

import ast
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.checks import Error
from django.core.exceptions import AppRegistryNotReady, ImproperlyConfigured
from django.utils.module_loading import import_string

# What production never runs
ELSEWHERE = re.compile(
    r"(deploy|docs|scripts|config/settings)/|(.*/)?(tests|node_modules)/"
    r"|(fabfile|locustfile|noxfile)\.py$"
    r"|(.*/)?(conftest|tests|test_\w*|\w*_test)\.py$"
)
NEVER_TRUE = re.compile(
    r"((settings\.)?DEBUG( and .*)?|(typing\.)?TYPE_CHECKING)$", re.DOTALL
)
OPTIONAL = re.compile(
    "ImportError|ModuleNotFoundError|find_spec|sys.(platform|version)"
)
# What a package raises that needs Django to be set up
NEEDS_DJANGO = (AppRegistryNotReady, ImproperlyConfigured)
HINT = "Add its package to the dependencies in pyproject.toml, then run make lock."


def main():
    """Exit with the imports of modules that are not installed, if any."""
    if missing := list(find_missing(Path.cwd())):
        sys.exit("\n".join([*missing, HINT]))


def check_backends(app_configs, **options):
    """Return an error for each path in the settings that cannot be imported.

    Django imports middleware and backends only when it needs them, so its own checks pass
    without their packages.
    """
    errors = []
    for path in sorted(find_backends()):
        try:
            import_string(path)
        except ImportError as error:
            errors.append(
                Error(f"The settings name {path}: {error}.", HINT, id="release.E001")
            )
    if problem := find_hasher_problem():
        errors.append(Error(f"PASSWORD_HASHERS: {problem}.", HINT, id="release.E002"))
    return errors


def find_missing(folder):
    """Yield a message for each import of a module that is not installed."""
    for place, name in find_imports(folder):
        if not is_installed(name):
            yield f"{place} imports {name}, which is not installed."


def find_imports(folder):
    """Yield the place and the name of each module that production imports."""
    # Hidden folders have the packages.
    for path in sorted([*folder.glob("*.py"), *folder.glob("[!.]*/**/*.py")]):
        name = path.relative_to(folder).as_posix()
        if not ELSEWHERE.match(name):
            for line, module in imports(ast.parse(path.read_bytes())):
                yield f"{name}:{line}", module


def imports(node):
    """Yield the line and the name of each module that code cannot do without."""
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield node.lineno, node.module
    else:
        for child in children(node):
            yield from imports(child)


def children(node):
    """Return the nodes in a node, without what never runs in production, or may fail."""
    if isinstance(node, ast.If):
        test = ast.unparse(node.test)
        if NEVER_TRUE.match(test) or OPTIONAL.search(test):
            return node.orelse
    if isinstance(node, ast.With) and any(
        OPTIONAL.search(ast.unparse(it.context_expr)) for it in node.items
    ):
        return []
    if isinstance(node, ast.Try) and any(
        OPTIONAL.search(ast.unparse(it.type)) for it in node.handlers if it.type
    ):
        return node.handlers
    return ast.iter_child_nodes(node)


def is_installed(name):
    """Return whether a module can be imported; import only the packages it is in."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # It has no parent, either.
        return False
    except NEEDS_DJANGO:
        return True


def find_backends():
    """Return the paths in the settings that Django imports only when it needs them."""
    values = [getattr(settings, name) for name in dir(settings) if name.isupper()]
    entries = [
        it for value in values if isinstance(value, dict) for it in value.values()
    ]
    backends = [
        it["BACKEND"] for it in entries if isinstance(it, dict) and "BACKEND" in it
    ]
    for template in settings.TEMPLATES:
        backends += template.get("OPTIONS", {}).get("context_processors", [])
    return {*settings.MIDDLEWARE, *settings.AUTHENTICATION_BACKENDS, *backends}


def find_hasher_problem():
    """Return why the passwords of production cannot be hashed, or None if they can."""
    try:
        make_password("any")
    except (ImportError, ImproperlyConfigured, ValueError) as error:
        return str(error)
    return None


if __name__ == "__main__":
    main()
