"""Asks sources over HTTP and takes a hook's posts in, in a database of its own: for the search.

    python -m tests.apps.devices.asked_over_http FOLDER LOG

Jamf lists canary apps beside the ordered one, and an Apple device answers with all that it has.
"""

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
SAMPLES = Path(__file__).parents[2] / "fixtures" / "inventory"
SECRETS = {"JAMF": "invented", "NANO": "nano-key", "HOOK": "hook-key"}
ON_THE_DEVICE = [
    {"Identifier": "com.zhiliaoapp.musically", "Name": "TikTok", "Installing": False},
    {"Identifier": "org.example.payroll", "Name": "वेतन पर्ची", "Installing": False},
    {"Identifier": "com.apple.Safari", "Name": "Safari", "Installing": False},
]


def main(folder: Path, log: Path) -> None:
    """Run both sources, and say what is known afterwards."""
    logging.basicConfig(level=logging.DEBUG, filename=log)
    django.setup()

    from countermand import environment
    from countermand.catalogue.queries import catalogue
    from countermand.devices import sources
    from countermand.devices.models import Device, Observation
    from countermand.project import source_runs
    from countermand.project.source_runs import Runner
    from countermand.testing.http_double import HttpDouble, TestAuthority
    from countermand.testing.mdm_doubles import AppleDevice, JamfDouble, NanoMdmDouble

    source_runs.wanted_apps = lambda: catalogue().wanted(["tiktok"])
    settings = environment.load({"COUNTERMAND_DATA": str(folder)})
    settings.folder.stop.mkdir(parents=True, exist_ok=True)
    (folder / "authority").mkdir()
    authority = TestAuthority(folder / "authority")
    runner = Runner(settings, SECRETS)

    def add(name: str, **options: Any) -> None:
        private = {"private_network": True, "ca_file": str(authority.ca_file)}
        every = timedelta(hours=6)
        sources.add(name, options=options | private, every=every, actor_id=None, now=NOW)

    listed = SAMPLES / "jamf" / "mobile-devices-detail.page0.json"
    jamf = JamfDouble(json.loads(listed.read_text("utf-8"))["results"], secret=SECRETS["JAMF"])
    apple = NanoMdmDouble({"D1": AppleDevice("D1", ON_THE_DEVICE)})
    with (
        HttpDouble(jamf.routes(), authority=authority) as at_jamf,
        HttpDouble(apple.routes(), authority=authority) as at_apple,
    ):
        add("jamf", url=at_jamf.base, client_id=jamf.client_id, secret="env:JAMF")
        runner.run("jamf", now=NOW)
        add("nanomdm", url=at_apple.base, secret="env:NANO", hook_secret="env:HOOK")
        Device.objects.create(source="nanomdm", source_device_id="D1", platform="ios")
        runner.run("nanomdm", now=NOW)
        for body, signature in apple.posts(NOW + timedelta(minutes=1)):
            runner.take_in("nanomdm", body, signature, now=NOW + timedelta(minutes=1))
    known = Observation.objects.order_by("device__source_device_id")
    print(dict(known.values_list("device__source_device_id", "presence")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
