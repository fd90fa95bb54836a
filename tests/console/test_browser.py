"""A real browser walks through the console: mouse, keys, two languages, phone; axe finds no fault.

Screenshots are kept where ``DETECTOR_SCREENSHOTS`` says. Those of the README are made by
``DETECTOR_SCREENSHOTS=docker/screenshots pytest tests/console/test_browser.py -k pictures``.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from detector.console import events_behind
from detector.console.roles import Role
from detector.hosts.events import decoded
from detector.mapping import load_mapping
from tests.conftest import ROOT
from tests.console.conftest import GOLDEN, NEWEST, PASSWORD, Served, serving, write_alerts

AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text("utf-8")
ONE = next(line for line in NEWEST.values() if line["user_branch"] == "B1")
BEST = max(NEWEST.values(), key=lambda line: line["score"])["alert_id"]
_SERIOUS = {"serious", "critical"}
_PATIENT_MS = 60_000
_WRONG: list[str] = []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, as the system has it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path is not None, "install the package `chromium`"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--lang=en"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A console on the golden alerts and the events behind them."""
    url = f"sqlite:///{tmp_path_factory.mktemp('browser')}/alerts.db"
    write_alerts(url, GOLDEN)
    with serving(url) as served:
        events = str(ROOT / "tests/golden/events.jsonl")
        batches = (chunk.batch for chunk in decoded(events, load_mapping(None), 1_000_000))
        with served.console.store.writing() as db:
            events_behind.replace_all(db, batches, {}, "Asia/Shanghai")
        object.__setattr__(served.console, "has_events", True)
        served.account("analyst", Role.ANALYST)
        served.account("manager", Role.MANAGER)
        served.account("auditor", Role.AUDITOR)
        served.account("admin", Role.ADMIN)
        yield served


@pytest.fixture(autouse=True)
def _nothing_goes_wrong_in_a_page() -> Iterator[None]:
    """No script fails, nothing is blocked by the policy, nothing is missing."""
    _WRONG.clear()
    yield
    assert not _WRONG


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where pictures of the walk are kept."""
    folder = Path(os.environ.get("DETECTOR_SCREENSHOTS", tmp_path / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def opened(browser: Browser, served: Served, login: str, **options: Any) -> Page:
    """Sign in through the form, as a person does."""
    context = browser.new_context(base_url=served.base, **options)
    context.set_default_timeout(_PATIENT_MS)
    expect.set_options(timeout=_PATIENT_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: _WRONG.append(f"script: {error}"))
    page.on("console", lambda said: said.type == "error" and _WRONG.append(said.text))
    page.goto("/sign-in?language=en")
    page.get_by_label("Account").fill(login)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
    return page


def faults(page: Page) -> list[str]:
    """Return what axe finds serious, by rule and place."""
    page.evaluate(AXE)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary'][:200]}"
        for violation in found["violations"]
        if violation["impact"] in _SERIOUS
        for node in violation["nodes"]
    ]


def test_an_analysts_day(browser: Browser, bank: Served, screenshots: Path) -> None:
    """Sign in, queue, open, take, judge, comment, ask, suppress; a second person unmasks."""
    page = opened(browser, bank, "analyst")
    page.goto("/?view=all")
    page.screenshot(path=screenshots / "walk-1-queue.png")
    page.locator(f".item[data-alert='{ONE['alert_id']}'] .go").click()
    expect(page.locator("article.alert h1")).to_be_visible()
    assert ONE["user_id"] not in page.content()
    page.screenshot(path=screenshots / "walk-2-alert.png", full_page=True)
    judge(page)
    ask_the_employee(browser, page)
    suppress(page, screenshots)
    unmask(page, opened(browser, bank, "manager"))
    page.screenshot(path=screenshots / "walk-4-unmasked.png")


def judge(page: Page) -> None:
    """Take the alert, work on it, judge it, tell a colleague."""
    page.get_by_role("button", name="Take it").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_role("button", name="In progress").click()
    expect(page.locator("#triage h2 .status.in_progress")).to_be_visible()
    page.get_by_label("Benign").check()
    page.locator(".triage textarea[name=reason]").fill("a campaign, ticket T-17")
    page.get_by_role("button", name="Save verdict").click()
    expect(page.locator("#triage h2 .verdict.benign")).to_be_visible()
    page.locator("[data-hot=c]").fill("@manager this was the spring campaign")
    page.get_by_role("button", name=re.compile("^Comment")).click()
    expect(page.locator(".talk")).to_contain_text("the spring campaign")
    expect(page.locator(".talk .tag")).to_have_text("@manager")


def ask_the_employee(browser: Browser, page: Page) -> None:
    """Make the link, answer in Chinese in another browser, find the answer beside the alert."""
    page.get_by_text("Ask why").click()
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("code.link").inner_text()
    employee = browser.new_context().new_page()
    employee.goto(f"{link}?language=zh")
    assert employee.title() == "关于您工作的一个问题"
    employee.get_by_label("您的回答").fill("春季营销活动")
    employee.get_by_role("button", name="提交").click()
    expect(employee.locator(".notice.good")).to_be_visible()
    page.reload()
    expect(page.locator(".question")).to_contain_text("春季营销活动")


def suppress(page: Page, screenshots: Path) -> None:
    """See what a rule would have hidden, then save it."""
    page.get_by_text("Hide what is like this").click()
    page.get_by_label("Up to score").fill("40")
    page.get_by_role("button", name="What would it have hidden?").click()
    expect(page.locator("#preview")).to_contain_text("of the last 90 days")
    page.locator(".suppress textarea[name=reason]").fill("known until the campaign ends")
    page.screenshot(path=screenshots / "walk-3-suppress.png")
    page.get_by_role("button", name="Save the rule").click()
    page.wait_for_url("**/suppressions")
    expect(page.get_by_text("known until the campaign ends")).to_be_visible()


def unmask(page: Page, second: Page) -> None:
    """Ask to see who it is; a second person agrees; then the name is there."""
    page.goto(f"/alerts/{ONE['alert_id']}")
    page.get_by_text("Ask to see the identity").click()
    page.locator("form[action$='/unmask'] textarea").fill("call the branch")
    page.locator("form[action$='/unmask'] button").click()
    expect(page.get_by_text("Asked. A second person decides.")).to_be_visible()
    second.goto("/identities")
    second.get_by_role("button", name="Grant").click()
    expect(second.get_by_text("granted by manager")).to_be_visible()
    page.reload()
    expect(page.locator(".head a.id")).to_have_text(ONE["user_id"])


def test_alerts_arrive_while_somebody_looks(browser: Browser, bank: Served) -> None:
    """A line at the bottom says so; the list itself does not jump."""
    page = opened(browser, bank, "analyst")
    page.goto("/?view=all")
    n_before = page.locator(".item").count()
    with page.expect_response("**/live?after=*"):
        page.reload()
    write_alerts(bank.url, [{**ONE, "alert_id": "f" * 32, "user_branch": "B2"}])
    expect(page.locator("#live a")).to_have_text("1 new or grown. Show")
    assert page.locator(".item").count() == n_before
    page.locator("#live a").click()
    expect(page.locator(".item")).to_have_count(n_before + 1)


def test_what_could_not_be_saved_is_told_on_the_page(browser: Browser, bank: Served) -> None:
    """The session has ended elsewhere, the network is gone: never silence after a click."""
    page = opened(browser, bank, "analyst")
    page.goto(f"/alerts/{ONE['alert_id']}")
    page.locator("[data-hot=c]").fill("said while the network is gone")
    page.context.set_offline(True)
    page.get_by_role("button", name=re.compile("^Comment")).click()

    expect(page.locator("#live .failed")).to_contain_text("cannot be reached right now")
    page.context.set_offline(False)
    page.get_by_role("button", name=re.compile("^Comment")).click()
    expect(page.locator(".talk")).to_contain_text("said while the network is gone")
    _WRONG.clear()  # the browser's own words about the lost network


def test_the_keyboard_is_enough(browser: Browser, bank: Served) -> None:
    """Down the list, open, to the verdict and back, to the overview; and every link has a ring."""
    page = opened(browser, bank, "analyst")
    page.goto("/?view=all")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(".item").first).to_have_class(re.compile("here"))
    page.keyboard.press("x")
    expect(page.locator("[data-bulkbar]")).to_be_visible()
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    expect(page.locator("article.alert h1")).to_be_visible()
    page.keyboard.press("v")
    assert page.evaluate("document.activeElement.value") == "confirmed"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.wait_for_url("**/")
    page.keyboard.press("/")
    page.keyboard.type("B1")
    expect(page).to_have_url(re.compile("q=B1"))
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.wait_for_url("**/overview")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Browser, bank: Served, scheme: Any) -> None:
    """On every page, in both themes: contrast, names, order, landmarks."""
    page = opened(browser, bank, "analyst", color_scheme=scheme)
    name = bank.console.pseudonyms.staff(ONE["user_id"])
    found = {}
    for path in (
        "/", "/?view=all", f"/alerts/{ONE['alert_id']}", f"/employees/{name}", "/overview",
        "/mentions", "/suppressions", "/identities", "/settings",
    ):  # fmt: skip
        page.goto(path)
        found[path] = faults(page)
    for login, path in (("auditor", "/journal"), ("admin", "/accounts")):
        other = opened(browser, bank, login, color_scheme=scheme)
        other.goto(path)
        found[path] = faults(other)
    stranger = browser.new_context(base_url=bank.base, color_scheme=scheme).new_page()
    stranger.goto("/sign-in")
    found["/sign-in"] = faults(stranger)

    assert not {path: what for path, what in found.items() if what}


def test_a_phone_shows_everything_without_scrolling_sideways(
    browser: Browser, bank: Served, screenshots: Path
) -> None:
    """At 320 and 390 pixels: WCAG's reflow."""
    for width in (320, 390):
        page = opened(browser, bank, "analyst", viewport={"width": width, "height": 800})
        for path in ("/?view=all", f"/alerts/{ONE['alert_id']}", "/overview"):
            page.goto(path)
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, (width, path)
        page.goto("/?view=all")
        page.screenshot(path=screenshots / f"walk-6-phone-{width}.png")


def test_the_language_is_a_persons_own(browser: Browser, bank: Served, screenshots: Path) -> None:
    """Switched with one click, kept for the next time; every word of the page follows."""
    page = opened(browser, bank, "analyst")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.goto(f"/alerts/{ONE['alert_id']}")
    page.screenshot(path=screenshots / "walk-7-chinese.png")
    expect(page.locator("#triage-title")).to_contain_text("处置")
    expect(page.locator(".why .first")).to_contain_text(re.compile("[\u4e00-\u9fff]"))
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_pictures_for_the_documents(browser: Browser, bank: Served, screenshots: Path) -> None:
    """In both languages, of a size that a page can carry; the README shows all of them."""
    size = {"width": 1280, "height": 720}
    made = []
    for name, login, path in (
        ("queue-en", "manager", "/?view=open"), ("alert-zh", "analyst", f"/alerts/{BEST}"),
    ):  # fmt: skip
        page = opened(browser, bank, login, viewport=size)
        if name.endswith("zh"):
            page.get_by_role("button", name="中文").click()
            expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        page.goto(path)
        made.append(screenshots / f"{name}.png")
        page.screenshot(path=made[-1])
        if name.endswith("zh"):
            page.get_by_role("button", name="English").click()
    shown = re.findall(r"docker/screenshots/(\S+)\)", (ROOT / "README.md").read_text("utf-8"))

    assert [path.name for path in made] == shown
    assert all(10_000 < path.stat().st_size < 300_000 for path in made)


def test_the_evidence_pack_stands_alone(browser: Browser, bank: Served, tmp_path: Path) -> None:
    """Saved and opened without a network: both languages, ids, digests, chain position."""
    page = opened(browser, bank, "analyst")
    for language, word in (("en", "Evidence pack"), ("zh", "证据包")):
        with page.expect_download() as download:
            page.evaluate(
                "(path) => { location.href = path }",
                f"/alerts/{ONE['alert_id']}/pack?language={language}",
            )
        path = tmp_path / f"{language}.html"
        download.value.save_as(path)
        text = path.read_text("utf-8")
        alone = browser.new_context(offline=True).new_page()
        alone.goto(path.as_uri())

        expect(alone.locator("h1")).to_have_text(word)
        assert not re.findall(r"(?:src|href)=[\"'](?!#)", text)
        for proof in (ONE["policy_digest"], ONE["artifact_digest"], *ONE["event_ids"]):
            assert proof in text
        assert re.search(r"<code>[0-9a-f]{64}</code>", text)
