"""What the page changes in a real worker, and what it doesn't let pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.smoke.workers import Worker
from tests.support.waiting import eventually

from .conftest import LIMIT, Load, Visit
from .pools_page import PATH, PoolsPage

MARKUP = "<img src=x onerror=document.title='run'>"


@pytest.fixture(autouse=True)
def used_pool(worker: Worker) -> Iterator[None]:
    """The pool has its usual limit, and is used: before a first query, there is none."""
    worker.run("double", 1)
    yield
    worker.control("pool_resize", alias="default", limit=LIMIT)


def limit_of(worker: Worker) -> int:
    return int(worker.numbers()["limit"])


def test_resizing_a_worker(visit: Visit, worker: Worker, load: Load) -> None:
    page = visit().open()
    load(LIMIT + 2)
    expect(page.field(worker.hostname, "waiting")).to_have_text("2")
    dialog = page.dialog(worker.hostname, "resize")
    dialog.get_by_label("New limit").fill(str(LIMIT + 2))
    expect(dialog.locator("[data-field=question]")).to_have_text(
        f"The limit of default in {worker.hostname} changes from {LIMIT} to {LIMIT + 2}, until the worker ends."
    )
    dialog.get_by_role("button", name="Resize").click()
    expect(page.results).to_have_text(f"{worker.hostname}, default: the limit was {LIMIT} and is now {LIMIT + 2}.")
    assert limit_of(worker) == LIMIT + 2
    eventually(lambda: worker.sessions("state <> 'idle' OR query LIKE '%backend_pid%'") == LIMIT + 2, "all work")
    expect(page.field(worker.hostname, "use")).to_have_text(f"{LIMIT + 2} of {LIMIT + 2} in use, 0 idle, 0 free")
    expect(page.field(worker.hostname, "waiting")).to_have_text("0")


def test_resizing_all_workers(visit: Visit, worker: Worker) -> None:
    page = visit().open()
    dialog = page.dialog(worker.hostname, "resize")
    dialog.get_by_label("New limit").fill("3")
    dialog.get_by_label("In all workers").check()
    expect(dialog.locator("[data-field=question]")).to_contain_text("changes to 3 in all workers")
    dialog.get_by_role("button", name="Resize").click()
    expect(page.results).to_contain_text("is now 3.")
    assert limit_of(worker) == 3


def test_closing_idle_connections(visit: Visit, worker: Worker) -> None:
    page = visit().open()
    expect(page.field(worker.hostname, "use")).not_to_contain_text(" 0 idle")
    idle = worker.numbers()["idle"]
    dialog = page.dialog(worker.hostname, "close-idle")
    expect(dialog).to_contain_text(f"now {idle} in process {worker.pid}")
    dialog.get_by_role("button", name="Close them").click()
    expect(page.results).to_have_text(f"{worker.hostname}, default: idle connections closed: {idle}.")
    assert worker.numbers()["idle"] == 0
    expect(page.field(worker.hostname, "use")).to_contain_text(" 0 idle")


def test_by_keyboard_and_cancelled(visit: Visit, worker: Worker) -> None:
    page = visit().open()
    button = page.card(worker.hostname).locator("[data-action=resize]")
    button.focus()
    page.page.keyboard.press("Enter")
    dialog = page.page.locator("#resize-dialog")
    expect(dialog.get_by_label("New limit")).to_be_focused()
    page.page.keyboard.type("9")
    page.page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(button).to_be_focused()
    assert limit_of(worker) == LIMIT
    expect(page.results).to_be_empty()


def test_hostile_values_change_nothing(visit: Visit, worker: Worker) -> None:
    page = visit().open()
    limits = (MARKUP, "", "0", "-1", "1e3", "5\n", "\N{ARABIC-INDIC DIGIT FIVE}", "9" * 400)
    for alias, limit in [(MARKUP, "5"), ("default'; --", "5"), ("", "5"), *(("default", limit) for limit in limits)]:
        status, text = page.post("resize", worker=worker.hostname, alias=alias, limit=limit)
        assert (status, "error" in text) == (400, True), (alias, limit)
    assert limit_of(worker) == LIMIT


def test_a_refused_value_is_shown_as_text(visit: Visit, worker: Worker) -> None:
    page = visit().open()
    dialog = page.dialog(worker.hostname, "resize")
    # As somebody can who changes the page in the browser's tools.
    dialog.locator("form").evaluate("form => { form.noValidate = true; form.elements.limit.type = 'text'; }")
    dialog.get_by_label("New limit").fill(MARKUP)
    dialog.get_by_role("button", name="Resize").click()
    expect(page.results).to_contain_text(MARKUP)
    assert page.page.locator("#content img").count() == 0
    assert page.page.title().startswith("Connection pools")
    assert limit_of(worker) == LIMIT


def test_a_forged_token(visit: Visit, worker: Worker) -> None:
    page = visit().open()
    page.page.locator("#pools > [name=csrfmiddlewaretoken]").evaluate("input => input.value = 'x'.repeat(64)")
    dialog = page.dialog(worker.hostname, "resize")
    dialog.get_by_label("New limit").fill("9")
    dialog.get_by_role("button", name="Resize").click()
    expect(page.results).to_contain_text("Not done")
    assert limit_of(worker) == LIMIT


def test_a_form_on_another_site(visit: Visit, worker: Worker) -> None:
    page = visit()
    form = f"""<form method="post" action="{page.site.url}{PATH}resize/">
        <input name="worker" value=""><input name="alias" value="default"><input name="limit" value="9"></form>"""
    # Another port of the same host: the browser does send the session's cookie there.
    elsewhere = "http://127.0.0.1:1/"
    # Not the page itself: Django's own page of the refusal has a style that the policy forbids.
    tab = page.context.new_page()
    tab.route(elsewhere, lambda route: route.fulfill(body=form, content_type="text/html"))
    tab.goto(elsewhere)
    with tab.expect_response(f"**{PATH}resize/") as response:
        tab.evaluate("document.forms[0].submit()")
    assert response.value.status == 403
    assert "sessionid" in response.value.request.all_headers()["cookie"]
    assert limit_of(worker) == LIMIT


def test_who_may_only_look_changes_nothing(visit: Visit, worker: Worker) -> None:
    page: PoolsPage = visit("viewer").open()
    expect(page.field(worker.hostname, "use")).to_be_visible()
    expect(page.field(worker.hostname, "actions")).not_to_be_visible()
    # With the page's token, so that it isn't what is refused.
    for action in ("resize", "close-idle"):
        status, text = page.post(action, worker=worker.hostname, alias="default", limit="9")
        assert (status, "permission" in text) == (403, True)
    assert limit_of(worker) == LIMIT
