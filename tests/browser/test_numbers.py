"""What the page shows of a worker with work to do, and that it keeps quiet where nothing is news."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.smoke.workers import Worker

from .conftest import LIMIT, Load, Visit

#: The name of a task of the project's.
MARKUP = "<img src=x onerror=document.title='run'>"


def test_numbers_appear_and_change_under_load(visit: Visit, worker: Worker, load: Load) -> None:
    page = visit().open()
    use, waiting = page.field(worker.hostname, "use"), page.field(worker.hostname, "waiting")
    expect(use).to_contain_text(f"0 of {LIMIT} in use")
    go = load(LIMIT + 3)
    expect(use).to_have_text(f"{LIMIT} of {LIMIT} in use, 0 idle, 0 free")
    expect(waiting).to_have_text("3")
    expect(page.summary("waiting")).to_have_text("3")
    expect(page.summary("trouble")).to_have_text("1")
    # What is in trouble comes first.
    expect(page.page.locator("article.pool").first).to_contain_text(worker.hostname)
    expect(page.news).to_contain_text(f"In trouble: {worker.hostname}, default")
    parts = page.field(worker.hostname, "bar").locator("span")
    lengths = "parts => parts.map((part) => Number(part.style.flexGrow))"
    assert parts.evaluate_all(lengths) == [LIMIT, 0, 0]
    go.touch()
    expect(use).to_contain_text(f"0 of {LIMIT} in use")
    expect(waiting).to_have_text("0")
    in_use, idle, free = parts.evaluate_all(lengths)
    assert (in_use, idle > 0, idle + free) == (0, True, LIMIT)
    # Other tests' tasks are in it, too.
    history = page.card(worker.hostname).locator("svg")
    expect(history.locator("desc")).to_have_text(re.compile(r"^In use: 0 to [4-9]; waiting: [3-9] at most\.$"))
    expect(history.locator(".pool-history-in-use")).to_have_attribute("d", re.compile(r"^M0 \d.*H.*V.*Z$"))


def test_the_page_announces_no_numbers(visit: Visit, worker: Worker, load: Load) -> None:
    page = visit().open()
    expect(page.field(worker.hostname, "use")).to_contain_text("0 of")
    page.page.evaluate(
        """() => {
            window.announced = 0;
            const observer = new MutationObserver(() => window.announced++);
            for (const region of document.querySelectorAll("#pools > [role=status]"))
                observer.observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )
    load(LIMIT - 1)
    expect(page.field(worker.hostname, "use")).to_contain_text(f"{LIMIT - 1} of")
    page.await_answer()
    assert page.page.evaluate("announced") == 0


def test_a_task_name_with_markup_is_text(visit: Visit, worker: Worker, load: Load) -> None:
    page = visit().open()
    load(1, MARKUP)
    expect(page.field(worker.hostname, "use")).to_contain_text("1 of")
    page.card(worker.hostname).locator("summary").click()
    row = page.field(worker.hostname, "rows").locator("tr")
    expect(row.locator("[data-field=task]")).to_have_text(
        "smoke_project.tasks.<img src=x onerror=document.title='run'>"
    )
    assert page.page.locator("#content img").count() == 0
    assert page.page.title().startswith("Connection pools")


def test_a_refresh_keeps_the_focus_and_what_is_open(visit: Visit, worker: Worker, load: Load) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"]).open()
    load(1)
    expect(page.field(worker.hostname, "use")).to_contain_text("1 of")
    page.card(worker.hostname).locator("summary").click()
    task_id = page.field(worker.hostname, "id").inner_text()
    row = page.field(worker.hostname, "rows").locator("tr").filter(has_text=task_id)
    copy = row.get_by_role("button", name="Copy the id of smoke_project.tasks.hold_until")
    copy.click()
    expect(page.results).to_have_text(f"Copied: {task_id}")
    assert page.page.evaluate("navigator.clipboard.readText()") == task_id
    # The card moves to the top, too.
    load(LIMIT)
    expect(page.field(worker.hostname, "waiting")).to_have_text("1")
    expect(copy).to_be_focused()
    assert page.card(worker.hostname).locator("details").get_attribute("open") is not None


def test_the_page_pauses_while_it_is_hidden(visit: Visit) -> None:
    page = visit().open()
    page.hide()
    expect(page.state).to_have_attribute("data-state", "paused")
    other = visit().open()
    before = page.answers()
    for _ in range(2):
        other.await_answer()
    # One may have been on its way.
    assert page.answers() <= before + 1
    with page.page.expect_response(page.data_url):
        page.show()
    expect(page.state).to_have_attribute("data-state", "live")


def test_nothing_is_wider_than_a_narrow_screen(visit: Visit, worker: Worker, load: Load) -> None:
    width = 320
    page = visit(viewport={"width": width, "height": 700}).open()
    load(1)
    expect(page.field(worker.hostname, "use")).to_contain_text("1 of")
    page.card(worker.hostname).locator("summary").click()
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
