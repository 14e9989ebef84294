"""Messages that wait at Pub/Sub: acknowledged once they are kept, and none blocks the rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from countermand.devices.models import ImportRun, Observation
from countermand.devices.sources import view
from countermand.domain.errors import CountermandError
from countermand.project.source_runs import Runner
from countermand.testing.cloud_doubles import message
from tests.apps.devices.test_hints import PHONE, Google, google, signer

__all__ = ["google", "signer"]  # fixtures
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.enable_socket,
    pytest.mark.usefixtures("one_order"),
]

NAME = "android_management"
NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)


def phone(google: Google, at: datetime, *, has_it: bool) -> dict[str, Any]:
    listed = dict(next(each for each in google[0].android if each["name"] == PHONE))
    reports = listed["applicationReports"] if has_it else []
    return listed | {"lastStatusReportTime": at.isoformat(), "applicationReports": reports}


def of_the_phone() -> str:
    return Observation.objects.get(device__source_device_id=PHONE).presence


def test_what_waits_counts_by_its_own_time_and_is_acknowledged(
    runner: Runner, google: Google
) -> None:
    later = phone(google, NOW, has_it=False)
    earlier = phone(google, NOW - timedelta(hours=1), has_it=True)
    google[0].messages += [message(later, 2), message(earlier, 1), message(later, 2)]

    runner.run(NAME, now=NOW)

    assert google[0].messages == []
    assert of_the_phone() == "absent"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told["message"]["attributes"].update(notificationType="SOMETHING_NEW"),
        lambda told: told["message"].update(data="%%%"),
        lambda told: told["message"].update(data="e30="),  # {}: a device without a name
        lambda told: told.update(message=None),
    ],
    ids=["a kind that came later", "no base64", "no name", "no message"],
)
def test_a_message_that_cannot_be_read_is_left_out_and_keeps_no_other_back(
    runner: Runner, google: Google, spoil: Any
) -> None:
    spoilt = message(phone(google, NOW, has_it=True), 1)
    spoil(spoilt)
    google[0].messages += [spoilt, message(phone(google, NOW, has_it=False), 2)]

    runner.run(NAME, now=NOW)

    assert google[0].messages == []
    assert of_the_phone() == "absent"
    reports = ImportRun.objects.order_by("pk").values_list("report__rejected", flat=True)
    assert list(reports) == [1, 0]  # the messages, then the list
    assert not view(NAME).failed_in_a_row


def test_what_could_not_be_kept_is_not_acknowledged(
    runner: Runner, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    google[0].messages += [message(phone(google, NOW, has_it=False), 1)]
    monkeypatch.setattr("countermand.devices.actions._record", _broken)

    with pytest.raises(CountermandError):
        runner.run(NAME, now=NOW)

    assert len(google[0].messages) == 1
    assert not Observation.objects.exists()


def _broken(*_: Any) -> None:
    raise CountermandError
