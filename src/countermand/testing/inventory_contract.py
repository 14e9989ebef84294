"""What every source of inventories promises; public, for authors of connectors.

Subclass `InventorySourceContract`, give it the fixture `opened`, and run it with pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from countermand.domain.app_id import WantedApp
from countermand.domain.inventory import DeviceReport
from countermand.domain.presence import Presence
from countermand.ports import InventorySource

Open = Callable[[Sequence[WantedApp]], InventorySource]


class InventorySourceContract:
    """Promises of a source. Its data holds the wanted app, and `canary` as an app of nobody."""

    canary = "org.example.payroll"
    canary_name = "Payroll"
    expects_whole = True

    @pytest.fixture
    def opened(self) -> Open:
        """Return a function that opens the source anew, looking for these apps."""
        raise NotImplementedError

    @pytest.fixture
    def wanted(self) -> WantedApp:
        """Return an app that the data holds on some device."""
        raise NotImplementedError

    @pytest.fixture
    def as_of(self) -> datetime:
        """Return the instant at which the source is read."""
        raise NotImplementedError

    def read(self, opened: Open, *apps: WantedApp) -> list[DeviceReport]:
        source = opened(apps)
        reports = list(source.reports())
        assert not source.faults.faults
        return reports

    def test_it_finds_the_wanted_app(self, opened: Open, wanted: WantedApp) -> None:
        presences = {report.presence(wanted) for report in self.read(opened, wanted)}

        assert Presence.PRESENT in presences

    def test_it_says_nothing_about_apps_that_nobody_wants(
        self, opened: Open, wanted: WantedApp
    ) -> None:
        source = opened((wanted,))
        reports = list(source.reports())

        said = repr((reports, source.rejected, source.faults))

        assert self.canary not in said
        assert self.canary_name not in said

    def test_without_a_wanted_app_it_tells_of_devices_alone(self, opened: Open) -> None:
        reports = self.read(opened)

        assert reports
        assert not any(report.matched for report in reports)

    def test_asked_twice_it_says_the_same(self, opened: Open, wanted: WantedApp) -> None:
        assert self.read(opened, wanted) == self.read(opened, wanted)

    def test_its_times_are_aware_and_not_ahead(
        self, opened: Open, wanted: WantedApp, as_of: datetime
    ) -> None:
        reports = self.read(opened, wanted)

        times = [at for r in reports for at in (r.inventory_at, r.last_contact_at) if at]
        assert all(at.tzinfo is not None and at <= as_of for at in times)

    def test_its_devices_have_ids_that_fit(self, opened: Open, wanted: WantedApp) -> None:
        ids = [report.source_device_id for report in self.read(opened, wanted)]

        assert all(0 < len(each) <= 200 and each == each.strip() for each in ids)

    def test_it_says_whether_it_listed_everything(self, opened: Open, wanted: WantedApp) -> None:
        source = opened((wanted,))
        list(source.reports())

        assert source.is_whole == self.expects_whole

    def test_absence_is_said_by_a_complete_list_alone(
        self, opened: Open, wanted: WantedApp
    ) -> None:
        for report in self.read(opened, wanted):
            if report.presence(wanted) is Presence.ABSENT:
                assert report.complete
                assert report.observable
