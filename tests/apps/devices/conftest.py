"""What tests of sources over HTTP have in common: whom they trust, and what runs a source.

- `one_order`: an order names TikTok; how orders are written is for other tests.
- `runner`: runs sources whose secrets stand in JAMF, FLEET, NANO and HOOK.
"""

from pathlib import Path

import pytest

from countermand import environment
from countermand.catalogue.queries import catalogue
from countermand.orders import queries as orders
from countermand.project import source_runs
from countermand.project.source_runs import Runner
from countermand.testing.http_double import TestAuthority
from countermand.wire.http import Waiting

SECRETS = {"JAMF": "invented", "FLEET": "fleet-token", "NANO": "nano-key", "HOOK": "hook-key"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        source_runs,
        "wanted_apps",
        lambda: catalogue().wanted(["tiktok"], orders.signed_identifiers()),
    )


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    settings = environment.load({"COUNTERMAND_DATA": str(tmp_path / "data")})
    settings.folder.stop.mkdir(parents=True)
    waiting = Waiting(sleep=lambda _s: None, jitter=lambda: 0.0)
    return Runner(settings, SECRETS, waiting)
