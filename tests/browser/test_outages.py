"""Sessions and permissions that are missing, servers and brokers that go away: the page says so, and goes on."""

from __future__ import annotations

from playwright.sync_api import expect

from servers.redis import RedisServer
from tests.smoke.workers import Worker

from .conftest import Visit
from .pools_page import PATH


def test_who_has_no_permission_sees_nothing(visit: Visit) -> None:
    page = visit("clerk")
    for path in (PATH, f"{PATH}data/"):
        response = page.page.goto(f"{page.site.url}{path}")
        assert response is not None
        assert response.status == 403
    page.page.goto(f"{page.site.url}/admin/")
    assert "onnection pools" not in page.page.locator("body").inner_text()


def test_who_may_see_it_finds_it_in_the_admin(visit: Visit) -> None:
    page = visit("viewer")
    page.page.goto(f"{page.site.url}/admin/")
    page.page.locator("#content").get_by_role("link", name="Connection pools").first.click()
    page.page.wait_for_url(f"**{PATH}")
    expect(page.state).to_have_attribute("data-state", "live")


def test_who_has_no_session_has_to_log_in(visit: Visit) -> None:
    page = visit(None)
    page.page.goto(f"{page.site.url}{PATH}")
    page.page.fill("[name=username]", "viewer")
    page.page.fill("[name=password]", "viewer")
    page.page.click("[type=submit]")
    page.page.wait_for_url(f"**{PATH}")
    expect(page.state).to_have_attribute("data-state", "live")


def test_a_session_that_ends_while_the_page_is_open(visit: Visit) -> None:
    page = visit().open()
    cookies = page.context.cookies()
    page.context.clear_cookies()
    expect(page.state).to_contain_text("You are logged out")
    expect(page.state.get_by_role("link", name="Log in again")).to_be_visible()
    expect(page.news).to_contain_text("You are logged out")
    # The user logs in in another tab, and comes back.
    page.hide()
    page.context.add_cookies([{**cookie} for cookie in cookies])  # type: ignore[typeddict-item]
    page.show()
    expect(page.state).to_have_attribute("data-state", "live")
    expect(page.state.get_by_role("link")).not_to_be_visible()


def test_a_server_that_goes_away_and_comes_back(visit: Visit, worker: Worker) -> None:
    page = visit().open()
    page.context.set_offline(True)
    expect(page.state).to_contain_text("The server can't be reached")
    expect(page.news).to_contain_text("The server can't be reached")
    # What was known stays.
    expect(page.card(worker.hostname)).to_be_visible()
    page.context.set_offline(False)
    expect(page.state).to_have_attribute("data-state", "live")


def test_a_broker_that_goes_away_and_comes_back(visit: Visit, worker: Worker, redis: RedisServer) -> None:
    page = visit().open()
    error = page.page.locator("#pools-error")
    expect(error).not_to_be_visible()
    redis.kill()
    expect(error).to_contain_text("The broker can't be reached")
    expect(page.news).to_contain_text("The broker can't be reached")
    # The page stays usable: what was known is shown as late, and actions say why they can't be done.
    expect(page.field(worker.hostname, "late")).to_be_visible()
    dialog = page.dialog(worker.hostname, "close-idle")
    dialog.get_by_role("button", name="Close them").click()
    expect(page.results).to_contain_text("The broker can't be reached")
    written = len(worker.log)
    redis.start()
    worker.wait_for_log("Connected to redis", since=written)
    expect(error).not_to_be_visible()
    expect(page.field(worker.hostname, "late")).not_to_be_visible()
    worker.await_answer()
