"""What holds for every test: few or many examples, and which sockets may open.

Unit and property tests open no socket at all. Tests of whole processes speak to this
machine alone (127.0.0.1 and sockets in the file system).
"""

import importlib.util
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from countermand import i18n

ON_THIS_MACHINE = ["127.0.0.1"]
FOLDERS_WITH_SERVERS = tuple(
    f"tests/{name}/" for name in ("apps", "browser", "contract", "journeys", "servers", "lab")
)

# No deadline: a slow machine is not a wrong answer.
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "night", max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "dev")
)

# Here and not in pyproject.toml: the settings are asked for only where they can be loaded, so a
# fault in them fails the tests of the apps and not those of the rules.
if importlib.util.find_spec("countermand.project.settings") is not None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countermand.project.settings")


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    """Leave no language to the next test: a verb called in this process chooses one for all."""
    i18n.use(i18n.DEFAULT)
    yield
    i18n.use(i18n.DEFAULT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of whole processes reach this machine, and nothing beyond it."""
    for item in items:
        if item.nodeid.startswith(FOLDERS_WITH_SERVERS):
            item.add_marker(pytest.mark.allow_hosts(ON_THIS_MACHINE))
