"""Names in the ledger tell nothing without the salt, and the salt is made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_assets.errors import LineageError, StorageError
from distill_assets.identity import make_id
from distill_assets.lineage.ids import SALT_FILE, load_salt, salt_id, salted
from distill_assets.lineage.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
SALT = bytes(range(32))


@given(st.text())
def test_an_id_is_32_hex_characters_that_depend_on_salt_and_identifier(identifier: str):
    name = salted(SALT, identifier)
    assert UUID(name).hex == name
    assert name != salted(SALT[::-1], identifier)
    assert name != salted(SALT, identifier + "x")


def test_the_macro_gives_what_python_gives(tmp_path: Path):
    ledger = Ledger.open(tmp_path / "ledger", create=True)
    identifiers = [make_id(1), "", "ünï 🎉", "a'b", "x" * 1000]
    with ledger.connect() as connection:
        connection.register("named", pl.DataFrame({"name": identifiers}))
        found = {name: uuid.hex for name, uuid in connection.execute("select name, salted(name) from named").fetchall()}
    assert found == {identifier: salted(ledger.salt(), identifier) for identifier in identifiers}


def test_the_salt_is_for_its_owner_alone_and_made_once(tmp_path: Path):
    salt = load_salt(tmp_path, create=True)
    assert len(salt) == 32 and load_salt(tmp_path, create=True) == salt
    assert (tmp_path / SALT_FILE).stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [SALT_FILE]


def test_two_ledgers_have_two_salts(tmp_path: Path):
    assert load_salt(tmp_path / "a", create=True) != load_salt(tmp_path / "b", create=True)


def test_the_id_of_a_salt_does_not_tell_it():
    assert len(salt_id(SALT)) == 16 and salt_id(SALT) not in SALT.hex() and salt_id(SALT) != salt_id(SALT[::-1])


def test_processes_that_make_the_salt_at_once_agree_on_one(tmp_path: Path):
    code = "import sys; from pathlib import Path; from distill_assets.lineage.ids import load_salt; print(load_salt(Path(sys.argv[1]), True).hex())"
    runs = [subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    said = {run.communicate(timeout=60)[0] for run in runs}
    assert said == {load_salt(tmp_path, create=False).hex() + "\n"}


def test_a_salt_missing_beside_a_chain_is_not_made_anew(tmp_path: Path):
    ledger = Ledger.open(tmp_path, create=True)
    (tmp_path / SALT_FILE).unlink()
    with pytest.raises(LineageError, match=r"salt is missing, so no sample can be named in the ledger. Restore it from a copy"):
        load_salt(tmp_path, create=True)
    assert not (tmp_path / SALT_FILE).exists()
    assert ledger.append("seeds", "r", None, {}, {}).seq == 1, "an event without samples needs no salt"
    assert Ledger.open(tmp_path, create=True).head().seq == 1


def test_another_salt_than_the_one_the_chain_was_begun_with_is_refused(tmp_path: Path):
    Ledger.open(tmp_path, create=True)
    (tmp_path / SALT_FILE).write_bytes(SALT)
    with pytest.raises(LineageError, match=rf"is the salt {salt_id(SALT)}, but the chain was begun with [0-9a-f]{{16}}"):
        load_salt(tmp_path, create=False)


@pytest.mark.parametrize("damaged", [b"", b"short", b"x" * 33])
def test_a_salt_of_another_size_is_refused(tmp_path: Path, damaged: bytes):
    (tmp_path / SALT_FILE).write_bytes(damaged)
    with pytest.raises(LineageError, match=f"holds {len(damaged)} bytes, not 32"):
        load_salt(tmp_path, create=True)
    assert (tmp_path / SALT_FILE).read_bytes() == damaged


def test_a_salt_that_cannot_be_written_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written: Not a directory"):
        load_salt(tmp_path / "file" / "ledger", create=True)
