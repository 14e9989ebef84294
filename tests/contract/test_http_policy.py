"""Our one way of asking servers: bounded, patient, and never led astray by an answer."""

import gzip
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from countermand.testing.http_double import ADDRESS, Asked, HttpDouble, Reply, TestAuthority
from countermand.wire.hosts import AllowedHosts, HostNotAllowed
from countermand.wire.http import AnswerNotUnderstood, Http, SourceUnavailable, Waiting, _server
from tests.contract.test_inventory_servers import TIKTOK, Graph, authority, graph, http, slept

__all__ = ["authority", "graph", "http", "slept"]  # fixtures


@pytest.fixture
def server(authority: TestAuthority) -> Iterator[HttpDouble]:
    def moved(asked: Asked) -> Reply:
        return Reply(status=302, headers={"Location": asked.one("to")})

    packed = gzip.compress(b'{"a": "' + b"0" * 20_000_000 + b'"}')
    routes = [
        ("GET", r"/moved", moved),
        ("GET", r"/here", lambda _: Reply.json({"here": True})),
        ("GET", r"/swollen", lambda _: Reply(packed, headers={"Content-Encoding": "gzip"})),
        ("GET", r"/broken", lambda _: Reply(b"no gzip", headers={"Content-Encoding": "gzip"})),
        ("GET", r"/down", lambda _: Reply(status=503)),
    ]
    with HttpDouble(routes, authority=authority) as opened:
        yield opened


def test_a_redirect_on_the_list_is_followed(http: Http, server: HttpDouble) -> None:
    page = http.json("GET", f"{server.base}/moved", params={"to": f"{server.base}/here"})

    assert page.is_true("here")


def test_a_redirect_to_another_port_loses_what_proves_who_we_are(
    http: Http, server: HttpDouble, authority: TestAuthority
) -> None:
    here = [("GET", r"/here", lambda _: Reply.json({"here": True}))]
    with HttpDouble(here, authority=authority) as another:
        http.json(
            "GET",
            f"{server.base}/moved",
            params={"to": f"{another.base}/here"},
            headers={"Authorization": "Bearer of-a-token"},
        )

        assert "authorization" not in another.asked[0].headers


def test_a_port_that_is_written_out_makes_no_other_server() -> None:
    assert _server("https://mdm.example/here") == _server("https://MDM.example:443/there")
    assert _server("https://mdm.example/here") != _server("https://mdm.example:8443/here")


@pytest.mark.parametrize(
    "aim", ["https://evil.example/here", "http://127.0.0.1/here", "file:///etc/passwd"]
)
def test_a_redirect_elsewhere_is_refused(http: Http, server: HttpDouble, aim: str) -> None:
    with pytest.raises(HostNotAllowed):
        http.json("GET", f"{server.base}/moved", params={"to": aim})


def test_a_redirect_in_a_circle_ends(http: Http, server: HttpDouble) -> None:
    aim = f"{server.base}/moved?to=/moved"

    with pytest.raises((AnswerNotUnderstood, HostNotAllowed)):
        http.json("GET", f"{server.base}/moved", params={"to": aim})
    assert len(server.asked) <= 4


def test_no_log_holds_what_stands_in_an_address_or_proves_who_we_are(
    http: Http, server: HttpDouble, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker logs from INFO on; the signature of a link is as good as a key."""
    caplog.set_level(logging.DEBUG)
    signed = f"{server.base}/moved?to=/here?sig=as-good-as-a-key"

    http.json("GET", signed, headers={"Authorization": "Bearer of-a-token"})

    assert [each.path for each in server.asked] == ["/moved", "/here"]
    assert "as-good-as-a-key" not in caplog.text
    assert "of-a-token" not in caplog.text


def test_an_answer_that_swells_is_cut_off(http: Http, server: HttpDouble) -> None:
    with pytest.raises(AnswerNotUnderstood):
        http.raw("GET", f"{server.base}/swollen", most=1_000_000)


def test_an_answer_in_a_broken_encoding_is_refused(http: Http, server: HttpDouble) -> None:
    with pytest.raises(AnswerNotUnderstood):
        http.raw("GET", f"{server.base}/broken", most=1_000_000)


def test_an_outage_is_waited_out_with_growing_pauses(
    http: Http, server: HttpDouble, slept: list[float]
) -> None:
    with pytest.raises(SourceUnavailable):
        http.json("GET", f"{server.base}/down")

    assert slept == [1.0, 2.0, 4.0, 8.0]


def test_a_host_on_the_list_that_points_inside_is_not_called(
    server: HttpDouble, authority: TestAuthority
) -> None:
    for name in (ADDRESS, "localhost"):
        url = server.base.replace(ADDRESS, name)
        waiting = Waiting(sleep=lambda _s: None)
        with (
            Http(
                AllowedHosts.of([name]), ca_file=str(authority.ca_file), waiting=waiting
            ) as outside,
            pytest.raises(HostNotAllowed),
        ):
            outside.json("GET", f"{url}/here")

    assert server.asked == []


def test_a_certificate_that_nobody_trusts_is_refused(server: HttpDouble) -> None:
    hosts = AllowedHosts.of([ADDRESS], private=True)
    waiting = Waiting(sleep=lambda _s: None)
    with Http(hosts, waiting=waiting) as untold, pytest.raises(SourceUnavailable):
        untold.json("GET", f"{server.base}/here")


def test_a_forged_link_of_an_export_is_not_followed(graph: Graph, tmp_path: Path) -> None:
    double, asked = graph(link_base="https://evil.example")

    with pytest.raises(HostNotAllowed):
        asked.tables([TIKTOK])

    assert not [path for path in tmp_path.iterdir() if path.stat().st_size]
    assert double.jobs


def test_a_next_page_on_another_server_never_gets_our_token(graph: Graph) -> None:
    double, asked = graph()
    asked.probe()  # signed in
    double.base = "https://evil.example"  # what the first page names as the next one

    with pytest.raises(AnswerNotUnderstood):
        list(asked.managed_devices())
