"""Artifacts: equal fits are equal, and anything but an unchanged copy is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.artifacts import FORMAT, read_artifact, write_artifact
from detector.errors import ArtifactError
from detector.hosts.fit import FitOptions, fit_artifact
from detector.simulate import SimulationConfig, simulate

ARRAYS = {"mean": np.arange(12.0).reshape(3, 4), "key": np.array([3, 1], dtype=np.int64)}
MANIFEST = {"roles": ["柜员", "teller"], "threshold": 3.5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small artifact."""
    write_artifact(tmp_path / "a", ARRAYS, MANIFEST)
    return tmp_path / "a"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for tests that put it back as it was."""
    folder = tmp_path_factory.mktemp("whole") / "a"
    write_artifact(folder, ARRAYS, MANIFEST)
    return folder


def test_what_is_written_is_read_back(folder: Path) -> None:
    """Arrays, manifest and digest."""
    written = write_artifact(folder, ARRAYS, MANIFEST)
    got = read_artifact(folder)

    assert {n: a.tolist() for n, a in got.arrays.items()} == {
        n: a.tolist() for n, a in ARRAYS.items()
    }
    assert (got.digest, got.manifest) == (written.digest, written.manifest)
    assert {key: got.manifest[key] for key in MANIFEST} == MANIFEST


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    """Neither the clock nor the order of the arrays is part of an artifact."""
    one = write_artifact(tmp_path / "one", ARRAYS, MANIFEST)
    two = write_artifact(
        tmp_path / "two", dict(reversed(ARRAYS.items())), dict(reversed(MANIFEST.items()))
    )

    assert one.digest == two.digest
    for name in ("arrays.npz", "manifest.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_equal_fits_give_equal_digests_and_another_history_another(tmp_path: Path) -> None:
    """An auditor fits the same history and compares one line."""
    bank = tmp_path / "bank"
    simulate(bank, SimulationConfig(users=30, branches=3, days=4, incidents=0))
    digests = [
        fit_artifact(
            FitOptions(
                str(bank / "events.jsonl"), tmp_path / name, reference=bank / "reference",
                until_ns=1_772_640_000_000_000_000 + extra,
            )
        ).digest
        for name, extra in (("one", 0), ("two", 0), ("three", 86_400_000_000_000))
    ]  # fmt: skip

    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("arrays", "manifest"),
    [
        ({**ARRAYS, "mean": ARRAYS["mean"] + 1e-12}, MANIFEST),
        ({**ARRAYS, "more": np.zeros(1)}, MANIFEST),
        (ARRAYS, {**MANIFEST, "threshold": 3.5001}),
    ],
    ids=["a number", "an array", "a threshold"],
)
def test_any_difference_gives_another_digest(
    arrays: dict[str, np.ndarray], manifest: dict[str, object], folder: Path
) -> None:
    """Alerts name the digest: it must name one artifact only."""
    assert write_artifact(folder, arrays, manifest).digest != write_artifact(
        folder, ARRAYS, MANIFEST
    ).digest  # fmt: skip


@given(st.integers(0, 2**31), st.integers(1, 255))
def test_a_flipped_byte_in_the_arrays_is_refused(whole: Path, position: int, flip: int) -> None:
    """Wherever it is, also where a zip file would not notice."""
    content = (whole / "arrays.npz").read_bytes()
    changed = bytearray(content)
    changed[position % len(content)] ^= flip
    (whole / "arrays.npz").write_bytes(changed)
    try:
        with pytest.raises(ArtifactError, match="has changed since it was fitted"):
            read_artifact(whole)
    finally:
        (whole / "arrays.npz").write_bytes(content)


@given(st.integers(0, 2**31), st.integers(1, 255))
def test_a_flipped_byte_in_the_manifest_is_refused_or_shows_in_the_digest(
    whole: Path, position: int, flip: int
) -> None:
    """The digest of an artifact is that of its manifest: a change cannot go by unseen."""
    before, content = read_artifact(whole).digest, (whole / "manifest.json").read_bytes()
    changed = bytearray(content)
    changed[position % len(content)] ^= flip
    (whole / "manifest.json").write_bytes(changed)
    try:
        after = read_artifact(whole).digest
    except ArtifactError:
        after = "refused"
    finally:
        (whole / "manifest.json").write_bytes(content)

    assert after != before


def test_a_changed_array_digest_is_refused(folder: Path) -> None:
    """Arrays of one fit under the manifest of another."""
    write_artifact(folder.parent / "b", {**ARRAYS, "key": np.zeros(2)}, MANIFEST)
    shutil.copy(folder.parent / "b" / "arrays.npz", folder / "arrays.npz")
    with pytest.raises(ArtifactError, match="has changed since it was fitted"):
        read_artifact(folder)


@pytest.mark.parametrize("name", ["arrays.npz", "manifest.json"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    """Which of the two, and what to do."""
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name}: cannot be read.*`detector fit`"):
        read_artifact(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A mistyped path must not mean built-in priors."""
    with pytest.raises(ArtifactError, match="nowhere"):
        read_artifact(tmp_path / "nowhere")


@pytest.mark.parametrize("found", ["audit-anomaly-artifact-0", "audit-anomaly-artifact-2", 1, None])
def test_another_format_is_refused_by_name(found: object, folder: Path) -> None:
    """Both formats are in the message: it says which side is too old."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": found}), "utf-8")
    with pytest.raises(ArtifactError, match=f"has format .*expected '{FORMAT}'"):
        read_artifact(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '"format"', "{}", "\udcff", "[" * 100_000],
    ids=["empty", "cut", "list", "number", "text", "no format", "not UTF-8", "deep"],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused(text: str, folder: Path) -> None:
    """Whatever somebody has saved over it."""
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ArtifactError, match="is no manifest"):
        read_artifact(folder)


def resigned(folder: Path, content: bytes) -> None:
    """Put other bytes in the arrays' place, with the digest that belongs to them."""
    from detector.artifacts import digest_of

    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["arrays_digest"] = digest_of(content)
    (folder / "arrays.npz").write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def pickled(folder: Path) -> bytes:
    """An archive with an array of objects, which only pickle could read."""
    np.savez(folder / "x.npz", mean=np.array([object()], dtype=object))
    return (folder / "x.npz").read_bytes()


def npy(folder: Path) -> bytes:
    """One array where an archive should be."""
    np.save(folder / "x.npy", ARRAYS["mean"])
    return (folder / "x.npy").read_bytes()


def cut(folder: Path) -> bytes:
    """Half of the archive."""
    content = (folder / "arrays.npz").read_bytes()
    return content[: len(content) // 2]


def damaged(folder: Path) -> bytes:
    """The archive with a wrong byte in a compressed member."""
    content = bytearray((folder / "arrays.npz").read_bytes())
    content[60] ^= 0xFF
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [pickled, npy, cut, damaged, lambda _: b"", lambda _: b"PK\x03\x04 zip"],
    ids=["pickle", "one array", "cut", "damaged", "empty", "garbage"],
)
def test_signed_arrays_that_cannot_be_read_are_refused(content: object, folder: Path) -> None:
    """A digest says who wrote it, not that it is right; nothing is ever unpickled."""
    resigned(folder, content(folder))
    with pytest.raises(ArtifactError, match=r"arrays\.npz: cannot be read"):
        read_artifact(folder)


@given(st.integers(0, 2**31), st.integers(1, 255))
def test_signed_damage_anywhere_never_raises_anything_else(
    whole: Path, position: int, flip: int
) -> None:
    """Zip, numpy and zlib each have their own ways to fail: people are told one thing."""
    manifest = (whole / "manifest.json").read_bytes()
    content = (whole / "arrays.npz").read_bytes()
    changed = bytearray(content)
    changed[position % len(content)] ^= flip
    resigned(whole, bytes(changed))
    try:
        arrays = read_artifact(whole).arrays
    except ArtifactError:
        arrays = {}
    finally:
        (whole / "manifest.json").write_bytes(manifest)
        (whole / "arrays.npz").write_bytes(content)

    assert {array.tobytes() for array in arrays.values()} <= {a.tobytes() for a in ARRAYS.values()}


@pytest.mark.parametrize("names", [["thesis.txt"], ["manifest.json", "index.html"], [".git"]])
def test_a_folder_that_holds_something_else_is_left_alone(names: list[str], tmp_path: Path) -> None:
    """`--output ~` must not empty a home folder; many programs have a manifest.json."""
    for name in names:
        (tmp_path / name).write_text("years of work", "utf-8")
    with pytest.raises(ArtifactError, match="is no artifact"):
        write_artifact(tmp_path, ARRAYS, MANIFEST)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The hours of a fit end in a sentence, not in a traceback."""
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(ArtifactError, match=r"file/a: cannot be written"):
        write_artifact(tmp_path / "file" / "a", ARRAYS, MANIFEST)


def test_an_artifact_is_replaced_as_a_whole(folder: Path) -> None:
    """No draft is left beside it."""
    write_artifact(folder, {"other": np.zeros(2)}, MANIFEST)

    assert list(read_artifact(folder).arrays) == ["other"]
    assert [path.name for path in folder.parent.iterdir()] == ["a"]
