"""Keyed hashes: the key is made once, by whoever comes first, and is its owner's alone."""

import multiprocessing
from pathlib import Path

import pytest

from mri_model.data.pseudonyms import KEY_FILE, Pseudonyms
from mri_model.errors import MriError


def pseudonym(folder: Path) -> str:
    return Pseudonyms(folder).of("patient", "P1", "")


def test_a_person_keeps_a_pseudonym_and_nobody_else_has_it(tmp_path: Path) -> None:
    assert pseudonym(tmp_path) == pseudonym(tmp_path)
    key = Pseudonyms(tmp_path)
    others = [("patient", "P2", ""), ("patient", "P1", "issuer"), ("patient", "", "P1"), ("study", "P1", "")]
    assert len({key.of(*each) for each in others} | {pseudonym(tmp_path)}) == 5


def test_the_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    pseudonym(folder)
    assert (folder.stat().st_mode & 0o777, (folder / KEY_FILE).stat().st_mode & 0o777) == (0o700, 0o600)


def test_no_key_is_made_before_it_is_needed(tmp_path: Path) -> None:
    Pseudonyms(tmp_path / "private")
    assert not (tmp_path / "private").exists()


@pytest.mark.slow
def test_processes_that_come_first_together_have_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(pseudonym, [tmp_path / "private"] * 8))) == 1


@pytest.mark.parametrize("content", [b"", b"no key", b"abcd", b"\xff" * 64])
def test_a_damaged_key_is_an_error_and_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(MriError, match="damaged"):
        pseudonym(tmp_path)
    assert (tmp_path / KEY_FILE).read_bytes() == content


def test_a_key_that_is_gone_is_an_error_and_no_other_one_is_made(tmp_path: Path) -> None:
    pseudonym(tmp_path)
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(MriError, match="is gone"):
        pseudonym(tmp_path)
    assert not (tmp_path / KEY_FILE).exists()
