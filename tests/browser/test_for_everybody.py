"""The page's accessibility in each theme, its policy, and what many viewers cost."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.smoke.workers import Worker

from .conftest import LIMIT, Load, Visit
from .pools_page import PATH, PoolsPage

VIEWERS = 10
#: How many times each viewer gets numbers while the worker's messages are counted.
ANSWERS = 3


@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"locale": "ar"}],
    ids=["light", "dark", "right to left"],
)
def test_axe_finds_nothing_serious(visit: Visit, worker: Worker, load: Load, options: dict[str, Any]) -> None:
    page = visit(**options).open()
    load(LIMIT + 1)
    expect(page.card(worker.hostname).locator(".pool-trouble li").first).to_be_visible()
    expect(page.page.locator("html")).to_have_attribute("dir", "rtl" if "locale" in options else "ltr")
    page.card(worker.hostname).locator("summary").click()
    assert findings(page) == []
    page.dialog(worker.hostname, "resize")
    assert findings(page) == []


def findings(page: PoolsPage) -> list[str]:
    violations = Axe().run(page.page).response["violations"]
    serious = [each for each in violations if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {node['html']}" for each in serious for node in each["nodes"]]


def test_a_strict_policy_and_nothing_from_elsewhere(visit: Visit, worker: Worker) -> None:
    page = visit()
    requested: list[str] = []
    page.page.on("request", lambda request: requested.append(request.url))
    response = page.page.goto(f"{page.site.url}{PATH}")
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    expect(page.card(worker.hostname)).to_be_visible()
    page.dialog(worker.hostname, "close-idle").get_by_role("button", name="Cancel").click()
    assert {urlsplit(url).netloc for url in requested} == {urlsplit(page.site.url).netloc}
    # Of what the policy forbids, the console would tell.
    assert (page.errors, page.failed_requests) == ([], [])


def test_ten_viewers_cost_a_worker_as_much_as_one(visit: Visit, worker: Worker) -> None:
    pages = [visit().open()]
    one = messages_per_second(worker, pages)
    # Tabs of another user's browser, as browsers take time.
    context = visit("viewer").context
    others = [PoolsPage(context, pages[0].site) for _ in range(VIEWERS - 1)]
    for page in others:
        page.page.goto(f"{page.site.url}{PATH}", wait_until="commit")
    pages += others
    ten = messages_per_second(worker, pages)
    print(f"commands a second that a worker gets: {one:.2f} with one viewer, {ten:.2f} with {VIEWERS}")
    # Answers are shown to all who ask within a second.
    assert one <= 1
    assert ten <= 1


def messages_per_second(worker: Worker, pages: list[PoolsPage]) -> float:
    """Return how many commands a second the worker gets while each page gets numbers a few times."""
    script = "([url, count]) => performance.getEntriesByName(url).length >= count"
    begun, start = commands(worker), time.monotonic()
    wanted = [page.answers() + ANSWERS for page in pages]
    for page, count in zip(pages, wanted, strict=True):
        page.page.wait_for_function(script, arg=[page.data_url, count])
    return (commands(worker) - begun) / (time.monotonic() - start)


def commands(worker: Worker) -> int:
    return worker.log.count("pidbox received method pools(")
