"""Nothing of a ledger, a checkpoint or a pack can be changed unseen, and nothing makes verifying itself fail."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import zipfile
from pathlib import Path

import pytest

from distill_assets.errors import LineageError, StorageError
from distill_assets.lineage.chain import build_head
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import prove_absence
from distill_assets.lineage.packs import verify_pack, write_pack
from distill_assets.lineage.verify import Finding, verify_checkpoint_folder, verify_ledger
from tests.lineage.ledgers import AT, RECIPE, build_checkpoint, build_world, name_generations, record_dataset, record_generations
from tests.lineage.mutations import run_mutations, verify_world

World = tuple[Ledger, Path]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return build_world(tmp_path)


def errors(findings: list[Finding]) -> list[str]:
    return [f"{finding.where}: {finding.words}" for finding in findings if finding.level == "error"]


# --- a ledger ---


def test_no_change_of_a_byte_a_line_or_a_file_goes_unseen(tmp_path: Path):
    figures = run_mutations(tmp_path, 720, seed=7)
    assert figures["missed"] == 0, figures["which"]
    assert figures["mutations"] == 720 and len(figures["kinds"]) == 18


def test_every_byte_of_the_small_files_counts(world: World, tmp_path: Path):
    ledger, checkpoint = world
    for file in (ledger.root / "HEAD", ledger.root / "salt", checkpoint / "manifest.json"):
        content = file.read_bytes()
        for at in range(len(content)):
            changed = bytearray(content)
            changed[at] ^= 1
            file.write_bytes(changed)
            assert errors(verify_world(tmp_path)), f"{file.name}, byte {at}"
        file.write_bytes(content)
    assert verify_world(tmp_path) == []


def test_a_missing_a_cut_and_a_changed_segment_are_named_with_what_they_hold(world: World):
    ledger, _ = world
    segment = ledger.events()[1].segments[0]
    file = ledger.root / "segments" / segment.file_name
    content = file.read_bytes()
    told = "Line 1 ('generations') recorded its 20 rows of 'generation'. Restore it from a copy."
    for change, words in (
        (file.unlink, "the file cannot be read: No such file or directory"),
        (lambda: file.write_bytes(content[:-1]), f"the file has {len(content) - 1} bytes, not {len(content)}"),
        (lambda: file.write_bytes(content[:-1] + b"!"), "the file's bytes were changed"),
    ):
        change()
        assert errors(verify_ledger(ledger.root)) == [f"{file.name}: {words}. {told}"]
    assert verify_ledger(ledger.root, deep=False) == [], "a quick look reads no segment"
    file.write_bytes(content)
    assert verify_ledger(ledger.root) == []


def test_a_segment_whose_line_tells_another_number_of_rows_is_found(world: World):
    ledger, _ = world
    raw = (ledger.root / "chain.jsonl").read_bytes().splitlines()
    bodies, prev, lines = [json.loads(line) for line in raw], "0" * 64, b""
    bodies[1]["segments"][0]["n_rows"] = 21
    from distill_assets.identity import canonical_bytes

    for body in bodies:
        body.pop("hash")
        body["prev"] = prev
        body["hash"] = prev = hashlib.sha256(canonical_bytes(body)).hexdigest()
        lines += canonical_bytes(body) + b"\n"
    (ledger.root / "chain.jsonl").write_bytes(lines)
    (ledger.root / "HEAD").write_bytes(build_head(len(bodies) - 1, prev))
    [words] = errors(verify_ledger(ledger.root))
    assert "the file has 20 rows, not 21" in words


def test_what_a_killed_writer_leaves_is_a_note_and_not_an_error(world: World):
    ledger, _ = world
    (ledger.root / "segments" / "generation-left.parquet").write_bytes(b"x")
    with (ledger.root / "chain.jsonl").open("ab") as chain:
        chain.write(b'{"at":"2026')
    found = verify_ledger(ledger.root)
    assert [finding.level for finding in found] == ["note", "note"]
    assert "11 bytes after the last line are of a line whose writer died. The next record sets them aside" in found[0].words
    assert found[1].where == "generation-left.parquet" and "It counts for nothing" in found[1].words
    before_last = ledger.events()[-2]
    (ledger.root / "HEAD").write_bytes(build_head(before_last.seq, before_last.hash))
    assert any("its writer died before HEAD named it" in finding.words for finding in verify_ledger(ledger.root))
    record_generations(ledger, name_generations(range(50)))
    assert [finding.where for finding in verify_ledger(ledger.root)] == ["generation-left.parquet"]


def test_a_tail_cut_together_with_its_head_is_seen_by_a_head_from_elsewhere(world: World):
    ledger, _ = world
    kept = [(event.seq, event.hash) for event in ledger.events()]
    lines = (ledger.root / "chain.jsonl").read_bytes().splitlines(keepends=True)
    (ledger.root / "chain.jsonl").write_bytes(b"".join(lines[:4]))
    (ledger.root / "HEAD").write_bytes(build_head(*kept[3]))
    assert verify_ledger(ledger.root, heads=[kept[3]]) == []
    [words] = errors(verify_ledger(ledger.root, heads=[kept[2], kept[5]]))
    assert "does not have the line 5 that was noted elsewhere" in words


def test_a_ledger_that_is_none_gives_findings(tmp_path: Path):
    assert "chain.jsonl cannot be read: No such file" in errors(verify_ledger(tmp_path))[0]
    (tmp_path / "chain.jsonl").mkdir()
    assert "chain.jsonl cannot be read: Is a directory" in errors(verify_ledger(tmp_path))[0]


def test_junk_in_place_of_any_file_gives_findings(world: World, tmp_path: Path):
    ledger, checkpoint = world
    files = [
        ledger.root / "chain.jsonl",
        ledger.root / "HEAD",
        ledger.root / "salt",
        checkpoint / "lineage.json",
        checkpoint / "manifest.json",
    ]
    junk = [
        b"",
        b"\x00" * 100,
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"null",
        b"[]\n",
        b"9" * 10_000,
        b'{"format":"distill-lineage/1"}',
        b"NaN",
    ]
    for file in [*files, ledger.root / "segments" / ledger.events()[1].segments[0].file_name]:
        content = file.read_bytes()
        for text in junk:
            file.write_bytes(text)
            assert errors(verify_world(tmp_path)), (file.name, text[:20])
        file.unlink()
        file.mkdir()
        assert errors(verify_world(tmp_path)), f"{file.name} is a folder"
        file.rmdir()
        file.write_bytes(content)
    assert verify_world(tmp_path) == []


# --- a checkpoint's folder ---


def test_a_sound_folder_and_one_without_a_ledger(world: World):
    ledger, checkpoint = world
    assert verify_checkpoint_folder(checkpoint, ledger) == []
    [finding] = verify_checkpoint_folder(checkpoint, None)
    assert finding.level == "note" and "not held against a ledger" in finding.words


def test_changed_weights_are_named_by_both_lists(world: World):
    ledger, checkpoint = world
    content = bytearray((checkpoint / "model.safetensors").read_bytes())
    content[4000] ^= 1
    (checkpoint / "model.safetensors").write_bytes(content)
    found = errors(verify_checkpoint_folder(checkpoint, ledger))
    assert len(found) == 2 and all("model.safetensors were changed since" in words for words in found)


def test_files_that_were_added_to_be_loaded_are_found_and_others_may_lie_there(world: World):
    ledger, checkpoint = world
    (checkpoint / "README.md").write_text("a card")
    assert verify_checkpoint_folder(checkpoint, ledger) == []
    (checkpoint / "sub").mkdir()
    (checkpoint / "sub" / "adapter_model.safetensors").write_bytes(b"x")
    [words] = errors(verify_checkpoint_folder(checkpoint, ledger))
    assert words.startswith("sub/adapter_model.safetensors: no list names this file")


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret", "", "a\x00b", "..\\secret"])
def test_a_list_cannot_make_verifying_read_outside_of_its_folder(world: World, name: str):
    ledger, checkpoint = world
    (checkpoint.parent / "secret").write_bytes(b"x")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(b"x").hexdigest(), "bytes": 1}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    assert any("which is no file of this folder" in words for words in errors(verify_checkpoint_folder(checkpoint, ledger)))


def test_a_lineage_of_another_ledger_or_one_that_was_never_recorded_is_found(world: World, tmp_path: Path):
    ledger, checkpoint = world
    other, _ = build_world(tmp_path / "other")
    found = " ".join(errors(verify_checkpoint_folder(checkpoint, other)))
    assert (
        "is of another ledger" in found
        and "does not have the line 4 that lineage.json names" in found
        and "no line of the chain records" in found
    )
    lineage = json.loads((checkpoint / "lineage.json").read_text())
    (checkpoint / "lineage.json").write_text(json.dumps(lineage))
    [words] = errors(verify_checkpoint_folder(checkpoint, ledger))
    assert "lineage.json is not the one that line 5 of the chain records" in words


def test_the_last_recorded_lineage_counts(world: World):
    ledger, checkpoint = world
    old = (checkpoint / "lineage.json").read_bytes()
    lineage = json.loads(old) | {"more": 1}
    new = json.dumps(lineage).encode()
    facts = {"checkpoint": lineage["checkpoint"]["id"], "sha256": hashlib.sha256(new).hexdigest()}
    ledger.append("manifest", RECIPE, AT, facts, {})
    assert "is not the one that line 6" in errors(verify_checkpoint_folder(checkpoint, ledger))[0]
    (checkpoint / "lineage.json").write_bytes(new)
    assert verify_checkpoint_folder(checkpoint, ledger) == []


def test_a_broken_chain_is_a_finding_of_the_folder_too(world: World):
    ledger, checkpoint = world
    (ledger.root / "HEAD").unlink()
    assert "HEAD is missing" in errors(verify_checkpoint_folder(checkpoint, ledger))[0]


# --- packs ---


def test_a_pack_is_the_same_bytes_each_time_and_verifies_by_itself(world: World, tmp_path: Path):
    ledger, checkpoint = world
    for with_segments in (False, True):
        first = write_pack(checkpoint, ledger, tmp_path / "first.zip", with_segments)
        second = write_pack(checkpoint, ledger, tmp_path / "second.zip", with_segments)
        assert first.read_bytes() == second.read_bytes()
        assert verify_pack(first) == []
        with zipfile.ZipFile(first) as pack:
            names = pack.namelist()
        assert names[:2] == ["HEAD", "chain.jsonl"] and len(names) == (7 if with_segments else 4)
        assert "salt" not in names
    shutil.rmtree(ledger.root)
    shutil.rmtree(checkpoint)
    assert verify_pack(tmp_path / "first.zip") == []


def test_a_later_head_from_elsewhere_shows_that_a_pack_leaves_something_out(world: World, tmp_path: Path):
    ledger, checkpoint = world
    pack = write_pack(checkpoint, ledger, tmp_path / "pack.zip")
    event = ledger.append("tombstone", RECIPE, AT, {"selector": {}}, {})
    assert verify_pack(pack, heads=[(3, ledger.events()[3].hash)]) == []
    assert "does not have the line 6" in errors(verify_pack(pack, heads=[(event.seq, event.hash)]))[0]


def test_no_change_of_a_pack_goes_unseen(world: World, tmp_path: Path):
    ledger, checkpoint = world
    pack = write_pack(checkpoint, ledger, tmp_path / "pack.zip", with_segments=True)
    content, rng, changed_file = pack.read_bytes(), random.Random(5), tmp_path / "changed.zip"
    for number in range(600):
        at = rng.randrange(len(content))
        if number % 3 == 0:
            changed = content[:at] + bytes([content[at] ^ rng.randrange(1, 256)]) + content[at + 1 :]
        elif number % 3 == 1:
            changed = content[:at] + content[at + 1 :]
        else:
            changed = content[:at] + rng.randbytes(1) + content[at:]
        changed_file.write_bytes(changed)
        assert errors(verify_pack(changed_file)), f"{number}: byte {at}"
    for at in (0, 10, len(content) // 2, len(content) - 1):
        changed_file.write_bytes(content[:at])
        assert errors(verify_pack(changed_file))
    assert errors(verify_pack(tmp_path / "none.zip")) and errors(verify_pack(tmp_path))


def rewrite(pack: Path, target: Path, changes: dict[str, bytes | None]) -> Path:
    """A pack as its maker would write it, with other content."""
    from distill_assets.lineage.packs import _write_zip

    with zipfile.ZipFile(pack) as zip_:
        files: dict[str, Path | bytes] = {name: zip_.read(name) for name in zip_.namelist()}
    files |= {name: content for name, content in changes.items() if content is not None}
    _write_zip(target, {name: content for name, content in files.items() if changes.get(name, b"") is not None})
    return target


def test_a_pack_written_anew_with_other_content_does_not_fit_its_chain(world: World, tmp_path: Path):
    ledger, checkpoint = world
    pack = write_pack(checkpoint, ledger, tmp_path / "pack.zip", with_segments=True)
    segments = sorted(segment.file_name for event in ledger.events() for segment in event.segments)
    lineage = (checkpoint / "lineage.json").read_bytes()
    manifest = (checkpoint / "manifest.json").read_bytes()
    chain = (ledger.root / "chain.jsonl").read_bytes()
    for changes, words in (
        ({"lineage.json": lineage.replace(b"text_to_sql", b"text_to_sqL")}, "lineage.json is not the one that line 5"),
        (
            {"manifest.json": manifest.replace(b'"n_steps": 12', b'"n_steps": 13')},
            "manifest.json is not the one that lineage.json lists",
        ),
        ({"chain.jsonl": chain.replace(b"second", b"2econd")}, "is broken at line 2"),
        ({"chain.jsonl": chain + b"{"}, "ends in the midst of a line"),
        ({"chain.jsonl": b"".join(chain.splitlines(keepends=True)[:-1])}, "the tail was cut"),
        ({"HEAD": None}, "the pack lacks HEAD"),
        ({"lineage.json": b"[" * 100_000}, "lineage.json is no JSON"),
        ({f"segments/{segments[0]}": None}, "the pack lacks 1 of 3 segments"),
        ({f"segments/{segments[0]}": b"x"}, "the file has 1 bytes, not"),
        ({f"segments/seed-{'0' * 64}.parquet": b"x"}, "no line of the chain names this segment"),
        ({"../../evil": b"x"}, "'../../evil', which no pack does"),
        ({"salt": b"x"}, "'salt', which no pack does"),
    ):
        found = errors(verify_pack(rewrite(pack, tmp_path / "changed.zip", changes)))
        assert any(words in finding for finding in found), (words, found)
    assert not (tmp_path.parent / "evil").exists()


def test_a_zip_that_is_meant_to_harm_is_refused(world: World, tmp_path: Path):
    bomb, twice, links = tmp_path / "bomb.zip", tmp_path / "twice.zip", tmp_path / "links.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as zip_:
        zip_.writestr("chain.jsonl", b"0" * 50_000_000)
    assert "compressed or encrypted" in errors(verify_pack(bomb))[0]
    with zipfile.ZipFile(twice, "w") as zip_:
        zip_.writestr("HEAD", b"a")
        with pytest.warns(UserWarning, match="Duplicate name"):
            zip_.writestr("HEAD", b"b")
    assert "holds 2 files, or one twice" in errors(verify_pack(twice))[0]
    with zipfile.ZipFile(links, "w") as zip_:
        info = zipfile.ZipInfo("HEAD")
        info.external_attr = 0o120777 << 16
        zip_.writestr(info, "/etc/passwd")
    assert "the pack lacks chain.jsonl" in errors(verify_pack(links))[0]
    raw = bytearray(write_pack(world[1], world[0], tmp_path / "pack.zip").read_bytes())
    place = raw.rindex(b"PK\x01\x02")  # the last entry of the directory: it claims 4 GB less one byte
    raw[place + 20 : place + 28] = b"\xfe\xff\xff\xff" * 2
    (tmp_path / "liar.zip").write_bytes(raw)
    assert "claim to be larger than the pack" in errors(verify_pack(tmp_path / "liar.zip"))[0]


def test_a_pack_cannot_be_made_of_what_is_not_there(world: World, tmp_path: Path):
    ledger, checkpoint = world
    (ledger.root / "segments" / ledger.events()[1].segments[0].file_name).unlink()
    with pytest.raises(LineageError, match=r"is missing, so no pack can be made"):
        write_pack(checkpoint, ledger, tmp_path / "pack.zip", with_segments=True)
    assert not (tmp_path / "pack.zip").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_pack(checkpoint, ledger, tmp_path / "file" / "pack.zip")


def test_a_receipt_holds_when_an_erasure_names_it_and_its_proof_leads_to_a_known_root(world: World, tmp_path: Path):
    ledger, checkpoint = world
    gone = salted(ledger.salt(), name_generations([0])[0])
    with ledger.connect() as connection:
        proof = prove_absence(connection, salted(ledger.salt(), "dataset-1"), [gone])
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps({"proof": proof}))
    pack = write_pack(checkpoint, ledger, tmp_path / "pack.zip", receipt=receipt)
    found = errors(verify_pack(pack))
    assert (
        len(found) == 2
        and "no erasure that the chain records names this receipt" in found[0]
        and "knows no dataset with the root" in found[1]
    )
    facts = {"receipt_sha256": hashlib.sha256(receipt.read_bytes()).hexdigest(), "merkle_root": proof["root"]}
    ledger.append("erasure", RECIPE, AT, facts, {})
    assert verify_pack(write_pack(checkpoint, ledger, pack, receipt=receipt)) == []
    lie = proof | {"buckets": {}}
    receipt.write_text(json.dumps({"proofs": [proof, lie]}))
    facts["receipt_sha256"] = hashlib.sha256(receipt.read_bytes()).hexdigest()
    ledger.append("erasure", RECIPE, AT, facts, {})
    [words] = errors(verify_pack(write_pack(checkpoint, ledger, pack, receipt=receipt)))
    assert "its proof does not hold: the proof has other siblings than its buckets need" in words


def test_a_pack_of_one_of_two_checkpoints(world: World, tmp_path: Path):
    ledger, checkpoint = world
    record_dataset(ledger, "dataset-2", name_generations(range(4)))
    second = build_checkpoint(ledger, tmp_path / "second", seed=1)
    for folder in (checkpoint, second):
        assert verify_pack(write_pack(folder, ledger, tmp_path / "pack.zip", with_segments=True)) == []
