"""Reference tables: what is read, what is refused, and how the refusal reads."""

from __future__ import annotations

import csv
import io
import tempfile
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector import reference as module
from detector.customers import Approval
from detector.errors import ReferenceDataError
from detector.reference import Branch, Cover, Reference, load_reference

TABLES = {
    "staff": (
        "user_id,name,role,branch,department,account_type,left,leave\n"
        "u1,Ann Example,teller,B1,front,person,,2026-03-02/2026-03-05;2026-05-01\n"
        "u2,Bob Example,,,,,2026-03-31,\n"
        "svc,,batch,,,service,,\n"
    ),
    "branches": "branch,region,time_zone,calendar\nB1,north,Asia/Shanghai,CN\nB2,,,\n",
    "calendar": "calendar,date,kind\nCN,2027-01-01,rest\nCN,2027-01-03,workday\n",
    "cover": "user_id,branch,from,to\nu1,B2,2026-03-02,2026-03-06\nu2,B1,2026-04-01,2026-04-01\n",
    "customers": (
        "customer_id,flags,user_id,household\nc1,vip,,\nc2,,u1,h1\nc3,,,h1\nc4,employee,u2,\n"
    ),
    "approvals": (
        "ticket_id,user_id,customers,branch,valid_from,valid_to\n"
        "T1,u1,c1;c2,,2026-03-02,2026-03-06\nT2,,,,,\n"
    ),
}


def write(folder: Path, **contents: str | bytes) -> Path:
    """Write tables as CSV files; returns the folder."""
    for name, content in contents.items():
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.csv").write_bytes(raw)
    return folder


def refusal(folder: Path) -> str:
    """Text of the error that reading the folder ends in."""
    with pytest.raises(ReferenceDataError) as caught:
        load_reference(folder)
    return str(caught.value)


def test_all_tables_are_read(tmp_path: Path) -> None:
    """Every cell that matters arrives, an empty one as None."""
    got = load_reference(write(tmp_path, **TABLES))

    assert got.staff.user_ids == ("u1", "u2", "svc")
    assert got.staff.roles == ("teller", None, "batch")
    assert got.staff.branches == ("B1", None, None)
    assert got.staff.account_types == ("person", None, "service")
    assert got.staff.left == (None, date(2026, 3, 31), None)
    assert got.staff.leave == (
        ((date(2026, 3, 2), date(2026, 3, 5)), (date(2026, 5, 1), date(2026, 5, 1))),
        (),
        (),
    )
    assert got.branches == (
        Branch("B1", "north", "Asia/Shanghai", "CN"),
        Branch("B2", None, None, None),
    )
    assert got.calendar == {
        ("CN", date(2027, 1, 1)): "rest",
        ("CN", date(2027, 1, 3)): "workday",
    }
    assert got.cover == (
        Cover("u1", "B2", date(2026, 3, 2), date(2026, 3, 6)),
        Cover("u2", "B1", date(2026, 4, 1), date(2026, 4, 1)),
    )
    assert got.customers.sensitive == ("c1", "c4")
    assert got.customers.own == (("u1", "c2"), ("u2", "c4"), ("u1", "c3"))
    assert got.approvals == (
        Approval("T1", "u1", ("c1", "c2"), None, date(2026, 3, 2), date(2026, 3, 6)),
        Approval("T2", None, (), None, None, None),
    )


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    """HR systems export either; dates and nulls are typed in the one and text in the other."""
    (tmp_path / "csv").mkdir()
    (tmp_path / "parquet").mkdir()
    for name, content in TABLES.items():
        columns = {
            column: [cell or None for cell in cells]
            for column, *cells in zip(*csv.reader(io.StringIO(content)), strict=True)
        }
        for column in {"date", "from", "to", "left", "valid_from", "valid_to"} & set(columns):
            columns[column] = [cell and date.fromisoformat(cell) for cell in columns[column]]
        pq.write_table(pa.table(columns), tmp_path / "parquet" / f"{name}.parquet")
    expected = load_reference(write(tmp_path / "csv", **TABLES))
    got = load_reference(tmp_path / "parquet")

    for part in ("staff", "branches", "calendar", "cover", "customers", "approvals"):
        assert getattr(got, part) == getattr(expected, part)


def test_no_folder_knows_nobody() -> None:
    """All tables are optional; the detectors fall back on what the events say."""
    got = load_reference(None)

    assert (got.staff.user_ids, got.branches, dict(got.calendar), got.cover) == ((), (), {}, ())


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """Who names a folder means its tables; without any the run would silently know nobody."""
    assert "holds no known table. Known tables: staff" in refusal(tmp_path)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """A mistyped path must not mean `no reference data`."""
    assert "is not a folder" in refusal(tmp_path / "refrence")


BAD_CELLS = {
    "no user id": ("staff", "user_id,role\nu1,a\n,b\n", "row 3 column user_id", "is empty"),
    "blank user id": ("staff", "user_id\n   \n", "row 2 column user_id", "is empty"),
    "user id given twice": ("staff", "user_id\nu1\nu2\nu1\n", "row 4 column user_id", "'u1'"),
    "twice but for blanks": ("staff", "user_id\nu1\nu1 \n", "row 3 column user_id", "twice"),
    "account type": (
        "staff",
        "user_id,account_type\nu1,robot\n",
        "row 2 column account_type",
        "person, service",
    ),
    "branch given twice": ("branches", "branch\nB1\nB1\n", "row 3 column branch", "'B1'"),
    "time zone": (
        "branches",
        "branch,time_zone\nB1,Asia/Beijing\n",
        "row 2 column time_zone",
        "IANA name such as Asia/Shanghai",
    ),
    "time zone in capitals": (
        "branches",
        "branch,time_zone\nB1,ASIA/SHANGHAI\n",
        "row 2 column time_zone",
        "is unknown",
    ),
    "time zone as a path": (
        "branches",
        "branch,time_zone\nB1,../../etc/passwd\n",
        "row 2 column time_zone",
        "is unknown",
    ),
    "kind of day": (
        "calendar",
        "calendar,date,kind\nCN,2026-01-01,holiday\n",
        "row 2 column kind",
        "workday, rest, half",
    ),
    "day that does not exist": (
        "calendar",
        "calendar,date,kind\nCN,2026-01-01,rest\nCN,2026-02-29,rest\n",
        "row 3 column date",
        "YYYY-MM-DD",
    ),
    "date the other way round": (
        "cover",
        "user_id,branch,from,to\nu1,B1,02-03-2026,2026-03-06\n",
        "row 2 column from",
        "YYYY-MM-DD",
    ),
    "no last day": (
        "cover",
        "user_id,branch,from,to\nu1,B1,2026-03-02,\n",
        "row 2 column to",
        "is empty",
    ),
    "last day before the first": (
        "cover",
        "user_id,branch,from,to\nu1,B1,2026-03-06,2026-03-02\n",
        "row 2 column from",
        "Swap",
    ),
}


@pytest.mark.parametrize("case", BAD_CELLS)
def test_a_wrong_cell_is_named_by_file_row_and_column(tmp_path: Path, case: str) -> None:
    """Whoever exported the table must find the cell without us."""
    table, content, where, what = BAD_CELLS[case]
    message = refusal(write(tmp_path, **{table: content}))

    assert f"{table}.csv {where}: " in message
    assert what in message


@pytest.mark.parametrize(
    ("table", "content", "column"),
    [
        ("staff", "id,role\nu1,teller\n", "user_id"),
        ("staff", "user_id;role\nu1;teller\n", "user_id"),
        ("staff", "", "user_id"),
        ("branches", "name\nB1\n", "branch"),
        ("calendar", "date,kind\n2026-01-01,rest\n", "calendar"),
        ("cover", "user_id,branch,from\nu1,B1,2026-01-01\n", "to"),
        ("customers", "id,flags\nc1,vip\n", "customer_id"),
        ("approvals", "ticket,user_id\nT1,u1\n", "ticket_id"),
    ],
)
def test_a_missing_key_column_is_refused_with_the_columns_expected(
    tmp_path: Path, table: str, content: str, column: str
) -> None:
    """Another separator or another name for the key would otherwise read as no staff at all."""
    message = refusal(write(tmp_path, **{table: content}))

    assert f"{table}.csv: has no column '{column}'" in message
    assert "Expected columns: " in message


@pytest.mark.parametrize(
    "content",
    [
        "user_id,role\nu1,teller\n".encode("utf-16"),
        b"user_id\n\xff\xfe\n",
        b'user_id,role\n"u1,teller\n',
        b'user_id,role\n"u1"x,teller\n',
        b"user_id\rrole\r",
        b"user_id\n" + b"a" * 200_000,
    ],
    ids=["UTF-16", "not UTF-8", "open quote", "text after a quote", "old Mac", "endless cell"],
)
def test_a_file_that_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    """A broken export is an error with the file's name, not a traceback or half a table."""
    message = refusal(write(tmp_path, staff=content))

    assert "staff.csv" in message
    assert "Expected UTF-8 CSV" in message


@pytest.mark.parametrize("content", [b"", b"PAR1xxxxPAR1", b"user_id\nu1\n"])
def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    """The same for the other format, cut short or mislabelled."""
    (tmp_path / "staff.parquet").write_bytes(content)

    assert "staff.parquet: cannot be read" in refusal(tmp_path)


def test_a_cut_parquet_file_is_refused(tmp_path: Path) -> None:
    """A copy that broke off halfway has a good beginning."""
    path = tmp_path / "staff.parquet"
    pq.write_table(pa.table({"user_id": [f"u{i}" for i in range(1_000)]}), path)
    path.write_bytes(path.read_bytes()[:-100])

    assert "staff.parquet: cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("mark", ["\x00", "\x1b[31m", "\u202e", "\u200b", "\u2066", "\x85", "\n"])
def test_control_and_bidi_characters_are_refused_and_not_repeated(
    tmp_path: Path, mark: str
) -> None:
    """An id that looks like another one, or moves the cursor, must not reach a screen."""
    message = refusal(write(tmp_path, staff=f'user_id,role\n"u{mark}1",teller\n'))

    assert "staff.csv row 2 column user_id" in message
    assert mark not in message


def test_a_cell_may_have_256_characters_and_no_more(tmp_path: Path) -> None:
    """Names end up in state, alerts and texts: their length is bounded here."""
    long = "柜" * 256

    assert load_reference(write(tmp_path, staff=f"user_id\n{long}\n")).staff.user_ids == (long,)
    assert "too long" in refusal(write(tmp_path, staff=f"user_id\n{long}员\n"))


@pytest.mark.parametrize(
    "row", ["u1,Zita Secretname,,", "u9,Zita Secretname,robot,", "u9,Zita Secretname,,\x07"]
)
def test_an_error_never_shows_a_name(tmp_path: Path, row: str) -> None:
    """Errors go to logs and tickets; names of people do not."""
    message = refusal(write(tmp_path, staff=f"user_id,name,account_type,role\nu1,,,\n{row}\n"))

    assert "row 3" in message
    assert "Secretname" not in message


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit protects memory: looking at the size must be enough."""
    write(tmp_path, **TABLES)
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 20)
    monkeypatch.setattr(Path, "read_bytes", lambda _path: pytest.fail("was read"))

    assert "staff.csv: is too large" in refusal(tmp_path)


def test_what_excel_adds_to_a_file_does_no_harm(tmp_path: Path) -> None:
    """Byte order mark, carriage returns, blanks around cells, rows of commas, empty last lines."""
    content = "\ufeffuser_id,role,branch\r\nu1 , teller,B1\r\nu2,,\r\n,,\r\n\r\n"
    got = load_reference(write(tmp_path, staff=content.encode())).staff

    assert got.user_ids == ("u1", "u2")
    assert got.roles == ("teller", None)
    assert got.branches == ("B1", None)


@pytest.mark.parametrize("row", ["u2,teller", "u2,teller,B1,B2"])
def test_a_row_of_another_length_is_refused(tmp_path: Path, row: str) -> None:
    """Its cells may have shifted, or the file is cut: nobody can tell which."""
    message = refusal(write(tmp_path, staff=f"user_id,role,branch\n{row}\n"))

    assert "row 2" in message
    assert "the header has 3" in message


@pytest.mark.parametrize("table", TABLES)
def test_the_digest_changes_with_every_table(tmp_path: Path, table: str) -> None:
    """A run is resumed only with the reference data it began with."""
    before = load_reference(write(tmp_path, **TABLES)).digest
    header = TABLES[table].splitlines()[0]
    after = load_reference(write(tmp_path, **{table: header + "\n"})).digest
    (tmp_path / f"{table}.csv").unlink()

    assert len({before, after, load_reference(tmp_path).digest, load_reference(None).digest}) == 4


def test_the_digest_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    """Another machine, the same tables: the alerts carry the same digest."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        write(folder, **TABLES)
    first, second = map(load_reference, folders)

    assert first == second


_TEXTS = st.text(
    st.characters(categories=("L", "N", "P", "S"), codec="utf-8"), min_size=1, max_size=20
)


@given(st.dictionaries(_TEXTS, st.tuples(_TEXTS, _TEXTS), max_size=8))
def test_any_printable_text_survives_quotes_commas_and_scripts(
    staff: dict[str, tuple[str, str]],
) -> None:
    """Ids and roles come in every script and with every punctuation mark CSV cares about."""
    text = io.StringIO()
    rows = [(user_id, *cells) for user_id, cells in staff.items()]
    csv.writer(text).writerows([("user_id", "role", "branch"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        got = load_reference(write(Path(folder), staff=text.getvalue())).staff

    assert list(zip(got.user_ids, got.roles, got.branches, strict=True)) == rows


@given(st.sampled_from(list(TABLES)), st.booleans(), st.binary(max_size=200), st.data())
def test_any_bytes_are_a_table_or_a_refusal(
    table: str, has_header: bool, noise: bytes, data: st.DataObject
) -> None:
    """Files are hostile until checked; nothing but the documented error may come out."""
    good = TABLES[table].encode()
    cut = data.draw(st.integers(good.index(b"\n") + 1, len(good)))
    content = good[:cut] + noise + good[cut:] if has_header else noise
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), **{table: content})
        try:
            got: Reference | str = load_reference(Path(folder))
        except ReferenceDataError as error:
            got = error.where

    assert isinstance(got, Reference) or f"{table}.csv" in got
