"""The audit log: nothing is changed, taken out, put in or cut off without being found."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from detector.console.journal import Anchors
from detector.console.journal_chain import Entry, anchor, chained, first_break, read_anchor
from tests.conftest import Run
from tests.console.conftest import NEWEST, Served

TEXTS = st.text(max_size=20)


def chain(texts: list[str]) -> list[Entry]:
    """Build a chain with these actors."""
    entries: list[Entry] = []
    for text in texts:
        said = Entry(0, 7, text, "look", "thing", {"text": text}, "", "")
        entries.append(chained(said, entries[-1] if entries else None))
    return entries


@given(st.lists(TEXTS, max_size=12))
def test_an_untouched_chain_is_whole(texts: list[str]) -> None:
    """Whatever people are called."""
    entries = chain(texts)

    assert first_break(entries) == (entries[-1] if entries else None, None)


@given(st.lists(TEXTS, min_size=3, max_size=12), st.data())
def test_the_first_damaged_entry_is_named(texts: list[str], data: st.DataObject) -> None:
    """Changed, removed, repeated or put elsewhere: the number tells where to look."""
    entries = chain(texts)
    at = data.draw(st.integers(0, len(entries) - 2))
    damage = data.draw(st.sampled_from(["change", "remove", "swap", "repeat"]))
    if damage == "change":
        entries[at] = replace(entries[at], actor=entries[at].actor + "x")
    elif damage == "remove":
        del entries[at]
    elif damage == "swap":
        entries[at], entries[at + 1] = entries[at + 1], entries[at]
    else:
        entries.insert(at, entries[at])
    _, broken = first_break(entries)

    assert broken is not None
    assert broken.number in {at + 1, at + 2}


@given(TEXTS)
def test_an_anchor_is_believed_from_its_key_only(text: str) -> None:
    """Anybody can write a line; only the key makes it an anchor."""
    (entry,), key = chain([text]), Ed25519PrivateKey.generate()
    line = anchor(entry, 9, key)

    assert read_anchor(line, key.public_key()) == (1, entry.digest)
    assert read_anchor(line, Ed25519PrivateKey.generate().public_key()) is None
    assert read_anchor(line.replace(b'"number":1', b'"number":2'), key.public_key()) is None


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Files of a private and a public key."""
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def used(served: Served) -> Path:
    """Let somebody look at alerts; return the console's file."""
    for alert_id in list(NEWEST)[:3]:
        assert served.signed_in("analyst").get(f"/alerts/{alert_id}").status_code == 200
    return Path(served.url.removeprefix("sqlite:///")).with_name("alerts.console.db")


def forge(file: Path, statement: str) -> None:
    """Change the log as the owner of the file can: triggers away first."""
    db = sqlite3.connect(file)
    db.execute("drop trigger audit_entry_stays")
    db.execute("drop trigger audit_entry_remains")
    db.execute(statement)
    db.commit()
    db.close()


def test_verify_log_proves_an_honest_log(served: Served, detector: Run) -> None:
    """While the console runs: an auditor need not stop it."""
    used(served)
    done = detector("verify-log", "--store", served.url)

    assert done.code == 0
    assert done.out == "the audit log is whole: 4 entries\n"  # a sign-in, three looks


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("update audit_entry set actor = 'nobody' where number = 2", "entry 2: has been changed"),
        ("delete from audit_entry where number = 3", "entry 3: entry 3 is missing"),
    ],
)
def test_verify_log_names_the_first_broken_entry(
    served: Served, detector: Run, statement: str, told: str
) -> None:
    """Exit code 3, for a script that looks every night."""
    forge(used(served), statement)
    done = detector("verify-log", "--store", served.url)

    assert (done.code, done.out.strip()) == (3, told)


def test_a_log_cut_off_at_its_end_is_found_by_anchors(
    served: Served, detector: Run, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """The rest is a whole chain: only what was signed elsewhere knows that there was more."""
    private, public = keys
    path = tmp_path / "anchors.jsonl"
    object.__setattr__(served.console, "anchors", Anchors(private, path, every=2))
    file = used(served)
    options = ("--store", served.url, "--anchors", path, "--key", public)
    before = detector("verify-log", *options)
    forge(file, "delete from audit_entry where number > 3")
    after = detector("verify-log", *options)

    assert (before.code, before.out) == (0, "the audit log is whole: 4 entries, 2 anchors agree\n")
    assert (after.code, after.out) == (3, "entry 4: is missing that was anchored\n")


def test_the_database_itself_refuses_to_change_an_entry(served: Served) -> None:
    """Our own program cannot, by mistake or by a hole in it."""
    db = sqlite3.connect(used(served))

    with pytest.raises(sqlite3.IntegrityError, match="never changed"):
        db.execute("update audit_entry set actor = 'x'")
    db.close()


def test_every_look_and_act_is_an_entry(served: Served) -> None:
    """Who saw what is what an auditor asks first."""
    alert_id = next(iter(NEWEST))
    browser = served.signed_in("analyst")
    browser.get(f"/alerts/{alert_id}")
    browser.post(f"/alerts/{alert_id}/comments", data={"text": "looked at it"})
    browser.post(f"/alerts/{alert_id}/triage", data={"row_version": 0, "status": "acknowledged"})
    browser.get(f"/alerts/{alert_id}/pack")
    browser.get("/alerts.csv")
    page = served.signed_in("auditor").get("/journal?verify=1").text

    for act in ("alert.look", "alert.comment", "alert.triage", "alert.pack", "queue.export"):
        assert f"<code>{act}</code>" in page
    assert "The chain of" in page
