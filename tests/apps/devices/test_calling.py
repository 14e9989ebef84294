"""Whoever names a device means one: in any spelling of a gate, and never somebody else's."""

import pytest

from countermand.devices import calling
from countermand.devices.calling import DeviceNameShared
from countermand.devices.models import Device, DeviceAlias
from countermand.domain.inventory import AliasKind

pytestmark = pytest.mark.django_db


def device(key: str, *, person_id: int = 1, eas_id: str = "", short_id: str = "") -> Device:
    made = Device.objects.create(
        person_id=person_id,
        source="intune",
        source_device_id=key,
        platform="ios",
        short_id=short_id or key[-4:],
    )
    if eas_id:
        DeviceAlias.objects.create(device=made, kind=AliasKind.EAS_DEVICE_ID, value=eas_id)
    return made


@pytest.mark.parametrize(
    "written",
    [
        "d-asha",
        "PHONE0OFASHA",
        "phone0ofasha",
        "70686f6e65306f6661736861",
        "70686F6E65306F6661736861",
        " Phone0ofAsha ",
        "…asha",
        "...ASHA",
    ],
)
def test_a_device_is_found_in_every_spelling_that_its_gate_takes_for_the_same(written: str) -> None:
    device("d-ravi", person_id=2, eas_id="PHONE0OFRAVI")
    ashas = device("d-asha", eas_id="phone0ofasha")

    found = calling.find(written)

    assert found is not None
    assert found.id == ashas.pk


@pytest.mark.parametrize("written", ["phone0ofboth", "…both"])
def test_a_name_of_two_people_s_devices_is_nobody_s(written: str) -> None:
    device("d-1", person_id=1, eas_id="phone0ofboth", short_id="both")
    device("d-2", person_id=2, eas_id="PHONE0OFBOTH", short_id="both")

    with pytest.raises(DeviceNameShared) as refused:
        calling.find(written)

    assert refused.value.ids == "d-1 (intune), d-2 (intune)"
    assert calling.find("d-2") is not None


def test_what_nothing_is_called_by_is_not_found() -> None:
    device("d-asha", eas_id="phone0ofasha")

    assert calling.find("phone0ofash") is None
    assert calling.find("asha") is None
