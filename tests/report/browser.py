"""A real browser without a window, for what only one can tell of a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WHY_SKIPPED = "there is no Chromium here (make setup-tests installs it)"
DRAWN_WITHIN_SECONDS = 120
_SHOWN: WeakKeyDictionary[webdriver.Chrome, tuple[str, int, int, bool]] = WeakKeyDictionary()


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    assert CHROMIUM is not None
    assert DRIVER is not None
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    # Tests run as root in containers, where Chromium's sandbox and /dev/shm are not to be had.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def show(driver: webdriver.Chrome, page: Path, *, width: int, dark: bool = False, anew: bool = False) -> None:
    """Open a page at a width, and wait until its figures are drawn, which takes seconds.

    A page that this browser already shows so stays, unless it shall be loaded `anew`.
    """
    drawn = "return document.documentElement.dataset.charts === 'drawn'"
    shown = (page.as_uri(), page.stat().st_mtime_ns, width, dark)
    if not anew and _SHOWN.get(driver) == shown and driver.execute_script(drawn):
        return
    _SHOWN[driver] = shown
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(page.as_uri())
    WebDriverWait(driver, DRAWN_WITHIN_SECONDS).until(lambda _: driver.execute_script(drawn))


def _log(driver: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = driver.get_log(kind)  # type: ignore[no-untyped-call]  # selenium leaves it untyped
    return found


def requested(driver: webdriver.Chrome) -> list[str]:
    """What it asked for since it was last asked."""
    messages = [json.loads(entry["message"])["message"] for entry in _log(driver, "performance")]
    sent: list[dict[str, Any]] = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [str(each["request"]["url"]) for each in sent]


def said(driver: webdriver.Chrome) -> list[str]:
    """All that is in its console."""
    return [str(entry["message"]) for entry in _log(driver, "browser")]
