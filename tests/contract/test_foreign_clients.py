"""Clients that others wrote read our doubles: so the doubles are what they play."""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient.discovery import build
from jamf_pro_sdk import JamfProClient, SessionConfig
from jamf_pro_sdk.clients.auth import ApiClientCredentialsProvider
from jamf_pro_sdk.models.client import Schemes
from jamf_pro_sdk.models.webhooks import webhooks

from countermand.connectors.jamf.source import hints
from countermand.testing.cloud_doubles import GoogleDouble, message
from countermand.testing.http_double import Asked, HttpDouble, Reply
from countermand.testing.mdm_doubles import JamfDouble
from countermand.wire.json_documents import document
from tests.contract.test_inventory_servers import rows

ANDROID = rows("devices", *(f"androidmanagement/devices.list.page{n}.json" for n in (1, 2)))
MOBILE = rows("mobiledevices", *(f"workspace/mobiledevices.list.page{n}.json" for n in (1, 2)))
Google = tuple[GoogleDouble, str]
Client = Callable[[str, str, str], Any]
# The simulator's own library warns of itself when it is loaded.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def google() -> Iterator[tuple[GoogleDouble, str]]:
    double = GoogleDouble(ANDROID, MOBILE, [message(ANDROID[0], 1)], largest_page=2)
    with HttpDouble(double.routes()) as server:
        yield double, server.base


@pytest.fixture
def client() -> Iterator[Callable[[str, str, str], Any]]:
    opened = []

    def make(name: str, version: str, base: str) -> Any:
        opened.append(_client(name, version, base))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def _client(name: str, version: str, base: str) -> Any:
    return build(
        name,
        version,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        static_discovery=True,
        client_options={"api_endpoint": base},
    )


def test_googles_client_pages_the_android_devices(google: Google, client: Client) -> None:
    devices = client("androidmanagement", "v1", google[1]).enterprises().devices()
    request = devices.list(parent="enterprises/LC00example", pageSize=100)
    found = []
    while request is not None:
        answer = request.execute()
        found += answer["devices"]
        request = devices.list_next(request, answer)

    assert found == ANDROID


def test_googles_client_pages_the_mobile_devices(google: Google, client: Client) -> None:
    mobile = client("admin", "directory_v1", google[1]).mobiledevices()
    request = mobile.list(customerId="my_customer", projection="FULL", maxResults=100)
    found = []
    while request is not None:
        answer = request.execute()
        found += answer["mobiledevices"]
        request = mobile.list_next(request, answer)

    assert found == MOBILE


def test_googles_client_pulls_and_acknowledges_messages(google: Google, client: Client) -> None:
    double, base = google
    name = "projects/example-emm/subscriptions/countermand"
    subscriptions = client("pubsub", "v1", base).projects().subscriptions()

    pulled = subscriptions.pull(subscription=name, body={"maxMessages": 10}).execute()
    ids = [each["ackId"] for each in pulled["receivedMessages"]]
    subscriptions.acknowledge(subscription=name, body={"ackIds": ids}).execute()

    assert ids == ["ack-1"]
    assert double.messages == []


def test_jamfs_client_signs_in_and_pages_both_lists() -> None:
    double = JamfDouble(
        mobile=rows("results", "jamf/mobile-devices-detail.page0.json"),
        computers=rows("results", "jamf/computers-inventory.page0.json"),
    )
    with HttpDouble(double.routes()) as server:
        host, port = server.base.removeprefix("http://").split(":")
        asked = JamfProClient(
            server=host,
            port=int(port),
            credentials=ApiClientCredentialsProvider(double.client_id, double.secret),
            session_config=SessionConfig(scheme=Schemes("http")),
        )
        computers = asked.pro_api.get_computer_inventory_v3(page_size=1)
        mobile = asked.pro_api.get_mobile_device_inventory_v2(page_size=2)
        asked.session.close()

    assert [each.id for each in computers] == ["41"]
    assert [each.mobileDeviceId for each in mobile] == ["11", "12", "13"]


KNOWN = [
    webhooks.SmartGroupMobileDeviceMembershipChange,
    webhooks.SmartGroupComputerMembershipChange,
    webhooks.MobileDeviceCheckIn,
    webhooks.ComputerCheckIn,
    webhooks.ComputerInventoryCompleted,
]


@pytest.mark.parametrize("kind", KNOWN, ids=lambda kind: kind.__name__)
def test_what_jamfs_simulator_posts_is_read_as_hints(kind: Any) -> None:
    simulator = importlib.import_module("jamf_pro_sdk.clients.webhooks")
    told: list[tuple[str, ...]] = []

    def take(asked: Asked) -> Reply:
        told.append(hints(document("webhook", asked.body)))
        return Reply(status=200)

    with HttpDouble([("POST", r"/hook", take)]) as server:
        sender = simulator.WebhooksClient(f"{server.base}/hook", 2)
        answers = list(sender.fire(kind, 5))
        sender.session.close()

    assert [answer.status_code for answer in answers] == [200] * 5
    prefix = "mobile:" if "Mobile" in kind.__name__ else "computer:"
    assert all(each.startswith(prefix) for devices in told for each in devices)


def test_nothing_of_the_foreign_clients_is_needed_by_the_program() -> None:
    for name in ("jamf", "android_management", "workspace"):
        module = importlib.import_module(f"countermand.connectors.{name}.fetch")

        assert not {"googleapiclient", "jamf_pro_sdk"} & set(vars(module))
