"""The look-up page stands without a database, shows its own files alone, and sets no cookie."""

from pathlib import Path
from urllib.parse import urljoin

import pytest
from django.test import Client

PAGE = b"<!doctype html><title>Is it real?</title>"


@pytest.fixture
def lookup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COUNTERMAND_DATA", str(tmp_path))
    folder = tmp_path / "lookup"
    (folder / "orders").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / "orders" / "CM-7Q4K.html").write_bytes(PAGE)
    (folder / "lookup.css").write_text("body {}", encoding="utf-8")
    (folder / ".hidden.html").write_bytes(PAGE)
    (folder / "notes.sh").write_text("x", encoding="utf-8")
    (tmp_path / "secret.html").write_bytes(b"secret")
    (folder / "link.html").symlink_to(tmp_path / "secret.html")
    return folder


@pytest.fixture
def web() -> Client:
    return Client(headers={"host": "127.0.0.1"})


@pytest.mark.parametrize("path", ["/", "/index.html", "/orders/CM-7Q4K", "/orders/CM-7Q4K.html"])
def test_a_page_is_shown_without_a_database(lookup: Path, web: Client, path: str) -> None:
    answer = web.get(path)

    assert (answer.status_code, answer.content) == (200, PAGE)
    assert not answer.cookies


def test_a_page_may_load_nothing_but_its_own_style(lookup: Path, web: Client) -> None:
    answer = web.get("/")

    assert answer["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "no-referrer"


def test_the_style_is_served_as_one(lookup: Path, web: Client) -> None:
    assert web.get("/lookup.css")["Content-Type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        "/.hidden.html",
        "/notes.sh",
        "/link.html",
        "/orders",
        "/orders/",
        "/nowhere.html",
        "/../secret.html",
        "/%2e%2e/secret.html",
        "/orders/..%2f..%2fsecret.html",
        "/orders//CM-7Q4K.html",
        "/a/b/c/d.html",
        "/index.html%00",
    ],
)
def test_nothing_else_is_found(lookup: Path, web: Client, path: str) -> None:
    assert web.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_nobody_writes_anything(lookup: Path, web: Client, path: str) -> None:
    assert web.post(path).status_code == 405


def test_health_asks_no_database(web: Client) -> None:
    assert web.get("/healthz").content == b"ok\n"


@pytest.mark.django_db
def test_readiness_asks_the_database(web: Client) -> None:
    assert web.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/cm-7q4k", "/CM-7Q4K", "/CM-7Q4K%20"])
def test_a_number_is_found_however_it_is_typed(lookup: Path, web: Client, path: str) -> None:
    (lookup / "CM-7Q4K.html").write_bytes(PAGE)

    answer = web.get(path)

    assert (answer.status_code, answer.content) == (200, PAGE)


def test_of_an_unknown_number_the_page_says_that_there_is_no_such_notice(
    lookup: Path, web: Client
) -> None:
    (lookup / "no-such-notice.html").write_bytes(b"no such notice")

    for typed in ("CM-9999", "7Q4K", "c m 7q4k", "cm-\u0967\u0968", "\u0938\u0940-7Q4K"):
        answer = web.get(f"/{typed}")

        assert (answer.status_code, answer.content) == (404, b"no such notice")
        assert answer["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "typed", ["cm7q4k", "CM7Q4K", "cm-7q4k ", "cm 7q4k", "CM\u20137Q4K", "Cm_7q4k"]
)
def test_a_number_is_found_with_and_without_its_hyphen(
    lookup: Path, web: Client, typed: str
) -> None:
    (lookup / "CM-7Q4K.html").write_bytes(PAGE)
    (lookup / "no-such-notice.html").write_bytes(b"no")

    assert web.get(f"/{typed}").status_code == 200
    assert web.get("/cm7q4").status_code == 404


@pytest.mark.parametrize("typed", ["CM-7Q4K.", "cm-7q4k?", "CM-7Q4K).", "CM-7Q4K\u0964", "CM7Q4K,"])
def test_a_number_is_found_with_what_follows_it_in_a_sentence(
    lookup: Path, web: Client, typed: str
) -> None:
    (lookup / "CM-7Q4K.html").write_bytes(PAGE)

    assert (web.get(f"/{typed}").status_code, web.get(f"/{typed}").content) == (200, PAGE)


@pytest.mark.parametrize(
    ("typed", "number"),
    [("cm7q4k/", "CM-7Q4K"), ("CM-7Q4K.//", "CM-7Q4K"), ("CM-9999/", "CM-9999")],
)
def test_a_number_with_a_slash_behind_it_leads_to_where_its_page_finds_its_style(
    lookup: Path, web: Client, typed: str, number: str
) -> None:
    (lookup / "CM-7Q4K.html").write_bytes(PAGE)
    (lookup / "no-such-notice.html").write_bytes(b"no such notice")

    answer = web.get(f"/{typed}")
    page = web.get(urljoin(f"http://127.0.0.1/{typed}", answer["Location"]))

    assert answer.status_code == 303
    assert page.request["PATH_INFO"] == f"/{number}"
    assert page.content == (PAGE if number == "CM-7Q4K" else b"no such notice")


@pytest.mark.parametrize("path", ["/check", "/answer?number=CM-7Q4K"])
def test_whoever_comes_back_without_the_form_is_led_to_it(
    lookup: Path, web: Client, path: str
) -> None:
    answer = web.get(path)

    assert (answer.status_code, answer["Location"]) == (303, "./")
    assert answer["Cache-Control"] == "no-store"
    assert web.head(path).status_code == 303
    assert web.put(path).status_code == 405
