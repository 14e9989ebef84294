"""Debian's Chromium, driven as a person would; axe-core looks for what shuts people out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

# No sandbox only where there can be none: as root. Small machines have little shared memory.
_OPTIONS = ["--disable-dev-shm-usage", "--disable-background-networking"]
PHONE = (390, 844)
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    options = [*_OPTIONS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A phone's screen, by day and by night; it reaches nothing but this machine."""
    width, height = PHONE
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        color_scheme=request.param,
        reduced_motion="reduce",
    )
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def faults(page: Page) -> list[str]:
    """Return what axe finds on the page, and whether it is wider than the screen."""
    found = Axe().run(page, options=_RULES).response["violations"]
    said = [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]
    for width in (PHONE[0], 320):  # 320 px: what is left of a screen at 400 %
        page.set_viewport_size({"width": width, "height": PHONE[1]})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            said.append(f"wider than {width} px")
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    return said
