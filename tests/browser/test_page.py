"""The built-in page in a real browser over a real store: its numbers are the API's, and nothing leaves the origin."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from collectors.store.clickhouse import Store
from tests.admin_port import Port, admin_port
from tests.seeding import LOOP, analysed, demo_sessions, seed

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SESSIONS = demo_sessions()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        assert not os.environ.get("CI"), f"CI needs a browser at {CHROMIUM}"
        pytest.skip(f"no browser at {CHROMIUM}: install Debian's chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def port(engine: Store) -> AsyncIterator[Port]:
    await seed(engine, SESSIONS)
    async with admin_port(engine) as port:
        yield port


class Watched:
    """A page that remembers what it complained of and whom it asked."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def is_clean(self, origin: str) -> bool:
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith((f"{origin}/", "data:"))] == []
        return True


async def opened(browser: Browser, stack: AsyncExitStack, **options: Any) -> Watched:
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    stack.push_async_callback(context.close)
    return Watched(await context.new_page())


async def figure(page: Page, within: str, name: str) -> str:
    return (await page.locator(f"{within} [data-figure='{name}']").first.inner_text()).strip()


def percent(share: float | None) -> str:
    return "\N{EN DASH}" if share is None else f"{share * 100:.1f}%"


@pytest.mark.engine
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_list_shows_what_the_api_says(browser: Browser, port: Port, scheme: str) -> None:
    async with AsyncExitStack() as stack:
        watched = await opened(browser, stack, color_scheme=scheme)
        page = watched.page
        await page.goto(port.url)
        await expect(page.locator("tr[data-session]")).to_have_count(len(SESSIONS))
        _, report, _ = await port.get("/api/report")
        for session in report["sessions"]:
            row = f"tr[data-session='{session['session_id']}']"
            assert await figure(page, row, "tokens") == f"{session['input_tokens'] + session['output_tokens']:,}"
            assert await figure(page, row, "calls") == f"{session['calls']}"
            for unit in ("tokens", "cost", "latency"):
                assert await figure(page, row, f"share-{unit}") == percent(session["tax"][unit]["share"])
        for unit in ("tokens", "cost", "latency"):
            shown = (await figure(page, "main", f"tile-{unit}")).replace("\n", "")
            assert shown == percent(report["totals"]["tax"][unit]["share"])
        assert await figure(page, "main", "total-sessions") == f"{report['totals']['sessions']}"
        assert await page.evaluate("document.documentElement.dataset.theme") == scheme
        ground = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        brightness = sum(int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(",")) / 3
        assert (brightness > 128) is (scheme == "light")
        assert watched.is_clean(port.url)


@pytest.mark.engine
async def test_a_session_is_reached_by_keyboard_and_shows_its_receipt(browser: Browser, port: Port) -> None:
    async with AsyncExitStack() as stack:
        watched = await opened(browser, stack)
        page = watched.page
        await page.goto(port.url)
        await page.locator("[data-key='session-support-4711']").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-call]")).to_have_count(len(SESSIONS[0][0]))
        _, detail, _ = await port.get("/api/sessions/support-4711")
        receipt = detail["receipt"]
        for line in [*receipt["lines"], receipt["tax"], receipt["total"], *receipt["beside"]]:
            assert await figure(page, f".receipt tr[data-line='{line['line']}']", "tokens") == f"{line['tokens']:,}"
        for stage in detail["session"]["stages"]:
            tokens = stage["input_tokens"] + stage["output_tokens"]
            assert await figure(page, f"tr[data-stage='{stage['stage']}']", "tokens") == f"{tokens:,}"
        await page.locator("[data-call='support-4711-0']").focus()
        await page.keyboard.press("ArrowRight")
        await expect(page.locator("#tip")).to_contain_text("timeout")
        failed = sum(call.outcome != "ok" for call in SESSIONS[0][0])
        await expect(page.locator(".strike")).to_have_count(failed)
        await page.go_back()
        await expect(page.locator("tr[data-session]")).to_have_count(len(SESSIONS))
        assert watched.is_clean(port.url)


@pytest.mark.engine
async def test_search_and_sort_are_in_the_address(browser: Browser, port: Port) -> None:
    async with AsyncExitStack() as stack:
        watched = await opened(browser, stack)
        page = watched.page
        await page.goto(port.url)
        await page.locator("[data-key='sort-cost']").click()
        dearest = max(SESSIONS, key=lambda session: session[1].session.cost_nano)[1].session.session_id
        await expect(page.locator("tr[data-session]").first).to_have_attribute("data-session", dearest)
        await page.locator("[data-key='search']").fill("refund")
        matching = [a for _, a in SESSIONS if "refund" in a.session.task]
        await expect(page.locator("tr[data-session]")).to_have_count(len(matching))
        await expect(page.locator("[data-key='search']")).to_be_focused()
        assert "sort=cost" in page.url
        assert "search=refund" in page.url
        await page.reload()
        await expect(page.locator("tr[data-session]")).to_have_count(len(matching))
        assert watched.is_clean(port.url)


@pytest.mark.engine
async def test_new_sessions_appear_by_themselves_and_the_theme_is_kept(browser: Browser, engine: Store) -> None:
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(admin_port(engine))
        watched = await opened(browser, stack, color_scheme="light")
        page = watched.page
        await page.goto(port.url)
        await expect(page.get_by_text("No sessions yet")).to_be_visible()
        await seed(engine, SESSIONS)
        await expect(page.locator("tr[data-session]")).to_have_count(len(SESSIONS), timeout=15_000)
        await page.locator("#theme").click()
        await page.reload()
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert watched.is_clean(port.url)


async def test_a_store_that_warms_up_and_a_token_are_asked_for_calmly(browser: Browser) -> None:
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(admin_port(None, token="s3cret"))
        port.now(store=type(port.fleet.store)("warming", "opening the engine"))
        page = (await opened(browser, stack)).page
        await page.goto(port.url)
        field = page.get_by_label("Token")
        await field.fill("wrong")
        async with page.expect_response("**/api/sessions**"):  # asked again meanwhile: what is typed stays
            pass
        await expect(field).to_have_value("wrong")
        await page.keyboard.press("Enter")
        await expect(field).to_have_value("")
        await field.fill("s3cret")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("opening the engine")).to_be_visible()


@pytest.mark.engine
async def test_names_from_agents_stay_text(browser: Browser, engine: Store) -> None:
    name = '<img src=x onerror="window.struck=1">/../%2e'
    await seed(engine, [analysed(name, LOOP, pattern="single", task="<b>bold</b>")])
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(admin_port(engine))
        watched = await opened(browser, stack)
        page = watched.page
        await page.goto(port.url)
        await page.get_by_role("link", name=name).click()
        await expect(page.locator("[data-call]")).to_have_count(len(LOOP))
        assert await page.evaluate("window.struck") is None
        assert watched.is_clean(port.url)
