"""Keep the passes of tests with the mark `kept` between runs: a pytest plugin.

Such a test depends on nothing but its module, the files that the mark names, and packages.
"""

import pytest

from tests.support.verdicts import PACKAGES, code_of, kept

# The fixtures of projects: the key of a pass has nothing of the template.
OF_THE_TEMPLATE = {"template", "rendered"}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test with the mark unless it has passed; leave all others to pytest."""
    mark = pyfuncitem.get_closest_marker("kept")
    if not mark:
        return None
    wrong = OF_THE_TEMPLATE & set(pyfuncitem.fixturenames)
    assert not wrong, f"a kept test depends on the template: {wrong}"
    code = code_of(pyfuncitem.module, pyfuncitem.path, *mark.args)
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    def judge():
        pyfuncitem.obj(**arguments)

    kept.once(pyfuncitem.nodeid, [code, PACKAGES], judge)
    return True
