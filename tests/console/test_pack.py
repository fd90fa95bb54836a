"""The evidence pack as PDF: whole, in both languages, with letters that are really drawn."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pypdfium2
import pytest

from detector.console.pdf import Font, Grid, Lines, Pairs, Paper, Title, find_font, pdf_of
from detector.errors import OptionError
from tests.console.conftest import NEWEST, Served, serving
from tests.console.test_hostile import NASTY

ONE = next(iter(NEWEST.values()))
PACK = f"/alerts/{ONE['alert_id']}/pack.pdf"


@pytest.fixture(scope="module")
def font() -> Font:
    """What this system has."""
    found = find_font(None)
    assert found is not None, "install the package `fonts-noto-cjk`"
    return found


@pytest.fixture
def paper(font: Font) -> Paper:
    """A paper of the tests."""
    return Paper(font, "pack 1", "en", 1_774_300_000_000)


@pytest.fixture(autouse=True)
def no_warning(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The library only warns of letters it leaves out."""
    yield
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def text_of(content: bytes) -> str:
    """Return what a reader can select and copy."""
    with closing(pypdfium2.PdfDocument(content)) as document:
        pages = [page.get_textpage().get_text_range() for page in document]
    return "\n".join(pages).replace("\r\n", "\n")


def joined(text: str) -> str:
    """Return a text without the breaks between its lines."""
    return "".join(text.split())


@pytest.mark.parametrize(("language", "word"), [("en", "Evidence pack"), ("zh", "证据包")])
def test_the_pack_holds_explanation_ids_digests_and_chain_position(
    shared: Served, language: str, word: str
) -> None:
    """What an auditor needs, in the language asked for."""
    answer = shared.signed_in("investigator").get(f"{PACK}?language={language}")
    text = joined(text_of(answer.content))

    assert answer.headers["content-type"] == "application/pdf"
    for told in (
        joined(word), joined(ONE["explanation"][language]), joined(ONE["policy_digest"]),
        joined(ONE["artifact_digest"]), *ONE["event_ids"], "alert.pack",
    ):  # fmt: skip
        assert told in text


def test_who_may_not_know_sees_the_pseudonym_on_paper_too(shared: Served) -> None:
    """The id of a person leaves the console with nobody who could not see it there."""
    line = next(line for line in NEWEST.values() if len(line["user_id"]) > 3)
    path = f"/alerts/{line['alert_id']}/pack.pdf?language=en"
    analyst, investigator = (
        text_of(shared.signed_in(name).get(path).content) for name in ("analyst", "investigator")
    )

    assert shared.console.pseudonyms.staff(line["user_id"]) in analyst
    assert f"Employee {line['user_id']}" in investigator
    assert f"Employee {line['user_id']}" not in analyst


def test_chinese_letters_are_drawn(paper: Paper) -> None:
    """Two of them look different from each other: neither is the box for "no such letter"."""
    pictures = []
    for letter in "证据":
        with closing(pypdfium2.PdfDocument(pdf_of([Title(letter, 1)], paper))) as document:
            pictures.append(document[0].render(scale=2).to_pil().crop((0, 0, 400, 250)))

    assert pictures[0].getcolors() != [(400 * 250, (255, 255, 255))]
    assert pictures[0].tobytes() != pictures[1].tobytes()


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_hostile_text_is_letters(paper: Paper, text: str) -> None:
    """In every block; a PDF could hold links, scripts, forms and files, and ours holds none."""
    blocks = [
        Title(text), Lines([text, text]), Pairs([(text, text)]), Grid([text], [[text]] * 3, [1]),
    ]  # fmt: skip
    content = pdf_of(blocks, Paper(paper.font, text[:50], "zh-CN", 0))
    read = text_of(content)

    for part in (b"/JavaScript", b"/JS", b"/URI", b"/Launch", b"/AcroForm", b"/EmbeddedFile"):
        assert part not in content
    assert not {"\u202e", "\u2066", "\x1b"} & set(read)
    assert len(content) < 200_000


def test_what_cannot_be_drawn_stands_there_by_its_code(paper: Paper) -> None:
    """A letter left out without a word would be evidence changed."""
    read = text_of(pdf_of([Lines(["a\U0001f600b\u202ec\nnext"])], paper))

    assert "a<U+1F600>b<U+202E>c" in read
    assert "next" in read


def test_a_table_of_hundreds_of_rows_goes_on_over_pages(paper: Paper) -> None:
    """With its head on each of them, and every row once."""
    rows = [[f"row-{n}.", "证" * 300] for n in range(300)]
    content = pdf_of([Grid(["number", "text"], rows, [1, 3])], paper)
    read = text_of(content)
    with closing(pypdfium2.PdfDocument(content)) as document:
        n_pages = len(document)

    assert [read.count(row[0]) for row in rows] == [1] * 300
    assert read.count("number") == n_pages > 5


def test_a_console_without_a_font_says_what_to_set(url: str) -> None:
    """And shows no button that does not work; the HTML pack is there."""
    with serving(url) as served:
        object.__setattr__(served.console, "pdf_font", None)
        browser = served.signed_in("analyst")
        answer = browser.get(PACK)

        assert (answer.status_code, "DETECTOR_CONSOLE_PDF_FONT" in answer.text) == (422, True)
        assert "pack.pdf" not in browser.get(PACK.removesuffix("/pack.pdf")).text
        assert browser.get(PACK.removesuffix(".pdf")).status_code == 200


@pytest.mark.parametrize(
    ("content", "told"), [(None, "cannot be read"), (b"no font", "cannot be read")]
)
def test_a_font_that_cannot_be_used_is_an_error_at_the_start(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    """Not at the first pack somebody needs."""
    path = tmp_path / "mine.ttf"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(OptionError, match=f"DETECTOR_CONSOLE_PDF_FONT: .*{told}"):
        find_font(path)


def test_a_font_without_chinese_letters_is_refused(tmp_path: Path) -> None:
    """It would print a pack of codes."""
    from fontTools.fontBuilder import FontBuilder

    made = FontBuilder(1000)
    made.setupGlyphOrder([".notdef", "a"])
    made.setupCharacterMap({ord("a"): "a"})
    file = io.BytesIO()
    made.save(file)
    (tmp_path / "latin.ttf").write_bytes(file.getvalue())

    with pytest.raises(OptionError, match="has no Chinese letters"):
        find_font(tmp_path / "latin.ttf")


def test_the_system_s_font_is_found_where_distributions_keep_it(tmp_path: Path, font: Font) -> None:
    """Without a setting; None where there is none."""
    assert find_font(None, [tmp_path]) is None
    place = tmp_path / "truetype" / "wqy"
    place.mkdir(parents=True)
    (place / "wqy-microhei.ttc").symlink_to(font.path)

    assert find_font(None, [tmp_path]) == Font(place / "wqy-microhei.ttc", font.face)
