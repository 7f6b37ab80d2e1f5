"""The page of the pools as a user sees it."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Response

from .site import AdminSite

PATH = "/admin/celery_geventpool/connectionpools/"
#: What Chromium says by itself of an answer that isn't a success, or that doesn't come.
FAILED_REQUEST = "Failed to load resource"

_SET_HIDDEN = """hidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


class PoolsPage:
    """A tab with the page; it remembers what its console said."""

    def __init__(self, context: BrowserContext, site: AdminSite) -> None:
        self.context = context
        self.site = site
        self.page = context.new_page()
        #: Errors of scripts, and of the policy.
        self.errors: list[str] = []
        #: Requests that got no success for an answer.
        self.failed_requests: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            is_request = message.text.startswith(FAILED_REQUEST)
            (self.failed_requests if is_request else self.errors).append(message.text)

    def open(self) -> PoolsPage:
        """Load the page, and wait for its first numbers."""
        self.page.goto(f"{self.site.url}{PATH}")
        self.page.locator("#pools-state[data-state=live]").wait_for()
        return self

    @property
    def data_url(self) -> str:
        return f"{self.site.url}{PATH}data/"

    @property
    def state(self) -> Locator:
        return self.page.locator("#pools-state")

    @property
    def news(self) -> Locator:
        """What is read aloud."""
        return self.page.locator("#pools-news")

    @property
    def results(self) -> Locator:
        return self.page.locator("#pools-results")

    def card(self, worker: str) -> Locator:
        """The pool of a worker that has one."""
        name = self.page.get_by_text(worker, exact=True)
        return self.page.locator("article.pool").filter(has=name)

    def field(self, worker: str, name: str) -> Locator:
        return self.card(worker).locator(f"[data-field={name}]")

    def summary(self, name: str) -> Locator:
        return self.page.locator(f"#pools-summary [data-field={name}]")

    def await_answer(self) -> None:
        """Wait for numbers that were asked for from now on."""
        with self.page.expect_request(self._is_data) as request:
            pass
        response: Response | None = request.value.response()
        assert response is not None
        response.finished()

    def _is_data(self, request: object) -> bool:
        return getattr(request, "url", "") == self.data_url

    def answers(self) -> int:
        """Return how many times the page has got numbers."""
        return int(self.page.evaluate("url => performance.getEntriesByName(url).length", self.data_url))

    def hide(self) -> None:
        """Let the page be in the background: a headless browser's tabs never are by themselves."""
        self.page.evaluate(_SET_HIDDEN, True)

    def show(self) -> None:
        """Let the page be seen again."""
        self.page.evaluate(_SET_HIDDEN, False)

    def dialog(self, worker: str, action: str) -> Locator:
        """Open the dialog of an action on a worker's pool."""
        self.card(worker).locator(f"[data-action={action}]").click()
        return self.page.locator(f"#{action}-dialog")

    def post(self, action: str, **fields: str) -> tuple[int, str]:
        """Send an action without the page's own checks, with its token; return status and text of the answer."""
        status, text = self.page.evaluate(
            """async ([url, fields]) => {
                const token = document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
                const body = new URLSearchParams({ csrfmiddlewaretoken: token, ...fields });
                const response = await fetch(url, { method: "POST", body });
                return [response.status, await response.text()];
            }""",
            [f"{self.site.url}{PATH}{action}/", fields],
        )
        return int(status), str(text)
