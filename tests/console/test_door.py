"""Coming in: passwords, sessions, forgery, and what every answer carries."""

from __future__ import annotations

import io
import re
from typing import Any

import httpx
import orjson
import pytest

from detector.console.roles import Role
from detector.telemetry import Logs, Metrics, Telemetry
from tests.console.conftest import NEWEST, PASSWORD, Served, csrf_of, serving, sign_in, write_alerts


def test_a_wrong_password_is_told_as_one_and_lets_nobody_in(served: Served) -> None:
    """The same words for a wrong account: nobody learns which accounts there are."""
    served.account("analyst", Role.ANALYST)
    answers = [sign_in(served.browser(), login, "wrong") for login in ("analyst", "nobody")]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert all("Account or password is wrong." in answer.text for answer in answers)


@pytest.mark.parametrize("login", ["analyst", "nobody"])
def test_too_many_failures_bar_a_login_for_a_while(served: Served, login: str) -> None:
    """Also the right password, also a login that does not exist; later it works again."""
    served.account("analyst", Role.ANALYST)
    for _ in range(5):
        assert sign_in(served.browser(), login, "wrong").status_code == 401

    assert sign_in(served.browser(), login, PASSWORD).status_code == 429
    served.clock.ahead_ms = 16 * 60_000
    later = sign_in(served.browser(), login, PASSWORD).status_code
    assert later == (303 if login == "analyst" else 401)


def test_an_address_that_tries_many_logins_is_barred(served: Served) -> None:
    """Spraying one password over all accounts stays below every account's own limit."""
    codes = [sign_in(served.browser(), f"user{i}", "wrong").status_code for i in range(21)]

    assert codes == [401] * 20 + [429]


@pytest.mark.parametrize(("minutes", "expected"), [(29, 200), (31, 303)])
def test_a_session_ends_when_nobody_uses_it(served: Served, minutes: int, expected: int) -> None:
    """A screen left alone over lunch shows nothing."""
    browser = served.signed_in("analyst")
    served.clock.ahead_ms = minutes * 60_000

    assert browser.get("/").status_code == expected


def test_a_session_ends_after_its_longest_time(served: Served) -> None:
    """Whoever keeps it in use signs in again every day."""
    browser, codes = served.signed_in("analyst"), []
    for _ in range(30):
        served.clock.ahead_ms += 25 * 60_000
        codes.append(browser.get("/settings").status_code)

    assert codes == [200] * 28 + [303] * 2


def test_signing_out_ends_the_session_itself(served: Served) -> None:
    """A copied cookie is of no use afterwards."""
    browser = served.signed_in("analyst")
    thief = served.browser()
    thief.cookies.update(browser.cookies)
    assert thief.get("/").status_code == 200
    browser.post("/sign-out")

    assert thief.get("/").status_code == 303


def test_an_account_that_is_kept_out_is_out_at_once(served: Served) -> None:
    """Not at the end of its session, and its tokens neither."""
    browser, program = served.signed_in("analyst"), served.with_token("analyst", "read")
    served.signed_in("admin").post("/accounts/analyst/active", data={"active": "no"})

    assert (browser.get("/").status_code, program.get("/me").status_code) == (303, 401)


def test_cookies_are_out_of_reach_for_scripts_and_other_sites(served: Served) -> None:
    """HttpOnly and SameSite; with TLS also Secure and bound to the host."""
    served.account("analyst", Role.ANALYST)
    head = sign_in(served.browser(), "analyst", PASSWORD).headers["set-cookie"]
    assert "HttpOnly" in head
    assert "SameSite=lax" in head

    with serving_securely(served) as secure:
        head = sign_in_over_tls(secure).headers["set-cookie"]
    assert head.startswith("__Host-detector=")
    assert "Secure" in head
    assert "Path=/" in head


def serving_securely(served: Served) -> Any:
    """Serve another console with cookies for TLS."""
    url = served.url.replace("alerts.db", "secure.db")
    write_alerts(url, [next(iter(NEWEST.values()))])
    return serving(url, secure_cookies=True)


def sign_in_over_tls(served: Served) -> httpx.Response:
    """Send the door's cookie by hand: this test's connection is not TLS."""
    served.account("analyst", Role.ANALYST)
    page = served.browser().get("/sign-in")
    door = re.findall(r"detector_door=([^;]+)", page.headers["set-cookie"])[0]
    sent = {"login": "analyst", "password": PASSWORD, "csrf": csrf_of(page.text)}
    head = {"cookie": f"detector_door={door}"}
    return served.browser().post("/sign-in", data=sent, headers=head)


@pytest.mark.parametrize("token", ["", "0" * 64, "not hexadecimal", "密"])
def test_a_change_without_the_sessions_token_is_refused(served: Served, token: str) -> None:
    """Another site can make a browser send the cookie, but it cannot read our pages."""
    browser = served.signed_in("analyst")
    del browser.headers["x-csrf-token"]
    alert_id = next(iter(NEWEST))
    sent = {"text": "forged", "csrf": token}

    assert browser.post(f"/alerts/{alert_id}/comments", data=sent).status_code == 403
    assert "forged" not in browser.get(f"/alerts/{alert_id}").text


def test_the_sign_in_form_itself_cannot_be_forged(served: Served) -> None:
    """Signing somebody in as oneself is an attack too."""
    served.account("analyst", Role.ANALYST)
    sent = {"login": "analyst", "password": PASSWORD, "csrf": "0" * 64}

    assert served.browser().post("/sign-in", data=sent).status_code == 403


@pytest.mark.parametrize("path", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_signing_in_never_leads_elsewhere(served: Served, path: str) -> None:
    """A link that looks like ours must not end on another site."""
    served.account("analyst", Role.ANALYST)
    browser = served.browser()
    form = {"login": "analyst", "password": PASSWORD, "next": path}
    answer = browser.post("/sign-in", data={**form, "csrf": csrf_of(browser.get("/sign-in").text)})

    assert answer.headers["location"] == "/"


def test_every_page_has_a_policy_without_inline_script(shared: Served) -> None:
    """A nonce of its own each time, and no script, style or handler in the markup."""
    browser, nonces = shared.signed_in("analyst"), set()
    for path in ("/", f"/alerts/{next(iter(NEWEST))}", "/overview", "/settings", "/nowhere"):
        answer = browser.get(path)
        policy = answer.headers["content-security-policy"]
        (nonce,) = re.findall(r"script-src 'nonce-([^']+)';", policy)
        nonces.add(nonce)
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text), path
        assert not re.search(r"\s(style|on\w+)=[\"']", answer.text), path
        assert f'nonce="{nonce}"' in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"

    assert len(nonces) == 5


def test_a_body_beyond_the_limit_is_refused(shared: Served) -> None:
    """A megabyte of text is nobody's comment."""
    alert_id = next(iter(NEWEST))
    sent = {"text": "x" * 1_000_000}
    answer = shared.signed_in("analyst").post(f"/alerts/{alert_id}/comments", data=sent)

    assert answer.status_code == 413


def test_health_readiness_and_metrics_answer_without_signing_in(shared: Served) -> None:
    """Probes have no account; metrics name routes, never addresses."""
    browser = shared.browser()
    shared.signed_in("analyst").get(f"/alerts/{next(iter(NEWEST))}")
    metrics = browser.get("/metrics").text

    assert browser.get("/healthz").text == "alive\n"
    assert browser.get("/readyz").text == "ready\n"
    assert 'route="/alerts/{alert_id}",status="2xx"' in metrics
    assert next(iter(NEWEST)) not in metrics


def test_the_log_tells_what_broke_and_no_name(url: str) -> None:
    """An operator reads JSON lines: the route's pattern, the reason, no id, no secret, no text."""
    lines = io.StringIO()
    telemetry = Telemetry(Metrics(), address=None, logs=Logs(("comment",), lines))
    with serving(url, parts={"telemetry": telemetry}) as served:
        browser = served.signed_in("analyst")
        with served.console.store.writing() as db:
            db.exec_driver_sql("alter table comment rename to elsewhere")
        answer = browser.get(f"/alerts/{next(iter(NEWEST))}")
    told = [orjson.loads(line) for line in lines.getvalue().splitlines()]

    assert answer.status_code == 503
    assert [line["event"] for line in told] == ["store", "request failed"]
    assert told[1]["route"] == "/alerts/{alert_id}"
    assert "no such table: ***" in told[0]["why"]
    assert next(iter(NEWEST)) not in lines.getvalue()


def test_refused_sign_ins_are_counted(shared: Served) -> None:
    """Somebody who tries passwords is seen on the operators' page too."""
    before = refused_of(shared)
    sign_in(shared.browser(), "nobody-of-the-count", "wrong")

    assert refused_of(shared) == before + 1


def refused_of(served: Served) -> float:
    """What the page of metrics says."""
    page = served.browser().get("/metrics").text
    (found,) = re.findall(r"^detector_console_sign_ins_refused_total (\S+)$", page, re.MULTILINE)
    return float(found)
