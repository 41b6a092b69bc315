"""A proof that holds is true, whoever wrote it."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import random
import re
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_assets.errors import LineageError
from distill_assets.lineage.ids import salted
from distill_assets.lineage.ledger import Ledger
from distill_assets.lineage.merkle import (
    ENTRY_BYTES,
    N_BUCKETS,
    build_tree,
    check_proof,
    hash_leaf,
    hash_node,
    prove,
    prove_absence,
    prove_presence,
    root_of,
)
from tests.lineage.ledgers import name_generations, record_dataset

IDS = st.binary(min_size=16, max_size=16).map(bytes.hex)
# Ids that share their bucket and differ late are the ones that a proof could mix up.
NEAR_IDS = st.integers(0, 60).map(lambda n: f"abc{n:029x}")


def digest(generation_id: str) -> str:
    return hashlib.sha256(generation_id.encode()).hexdigest()[:32]


def rows_of(ids: set[str]) -> list[tuple[str, str]]:
    return [(id_, digest(id_)) for id_ in ids]


@given(present=st.sets(IDS | NEAR_IDS, max_size=40), other=st.sets(IDS | NEAR_IDS, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_what_is_in_can_be_shown_to_be_in_and_what_is_not_to_be_out(present: set[str], other: set[str]):
    tree = build_tree(rows_of(present))
    absent = other - present
    if absent:
        proof = json.loads(json.dumps(prove(tree, absent, "absent")))
        assert check_proof(proof, tree.root, absent)
        assert not check_proof(proof, tree.root, absent, "present")
        more = build_tree(rows_of(present | {min(absent)}))
        assert more.root != tree.root
        assert not check_proof(proof, more.root, absent), "the proof is of another dataset"
        with pytest.raises(LineageError, match="not absent in the dataset"):
            prove(more, absent, "absent")
    if present:
        proof = json.loads(json.dumps(prove(tree, present, "present")))
        assert check_proof(proof, tree.root, present, "present")
        assert not check_proof(proof, tree.root, present)
        with pytest.raises(LineageError, match="not absent"):
            prove(tree, present, "absent")
    if absent and present:
        with pytest.raises(LineageError, match="not present in the dataset"):
            prove(tree, present | absent, "present")


@given(present=st.sets(IDS, min_size=1, max_size=20), seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_the_root_depends_on_the_rows_alone(present: set[str], seed: int):
    rows = rows_of(present)
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert build_tree(rows).root == build_tree(shuffled).root
    generation_id, row_digest = shuffled[0]
    assert build_tree([*shuffled[1:], (generation_id, digest(row_digest))]).root != build_tree(rows).root, "another text of one row"
    assert build_tree(shuffled[1:]).root != build_tree(rows).root


def test_a_root_by_hand():
    id_, level = "000" + "1" * 29, []
    level = [hash_leaf(0, bytes.fromhex(id_ + "2" * 32))] + [hash_leaf(number, b"") for number in range(1, N_BUCKETS)]
    assert level[1] == hashlib.sha256(b"\x00\x00\x01").digest()
    while len(level) > 1:
        level = [hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level), 2)]
    assert build_tree([(id_, "2" * 32)]).root == level[0].hex()
    assert hash_node(b"a", b"b") != hash_node(b"b", b"a")


@pytest.mark.parametrize(
    "rows", [[("ab" * 16, "cd" * 16), ("ab" * 16, "cd" * 16)], [("ab" * 16, "cd" * 16), ("ab" * 16, "ef" * 16)]]
)
def test_a_row_that_comes_twice_is_refused(rows: list[tuple[str, str]]):
    with pytest.raises(LineageError, match="holds an id twice"):
        build_tree(rows)


@pytest.mark.parametrize("wrong", ["", "xy" * 16, "ab" * 15, "ab" * 17, "ab" * 16 + "-x"])
def test_what_is_no_id_is_refused(wrong: str):
    with pytest.raises(LineageError, match="is no id of the ledger"):
        build_tree([(wrong, "ab" * 16)])


# --- proofs that lie ---


@pytest.fixture(scope="module")
def ids() -> list[str]:
    return sorted(digest(str(number)) for number in range(20_000))


def test_a_bucket_that_leaves_out_an_id_leads_to_another_root(ids: list[str]):
    tree, victim = build_tree(rows_of(set(ids))), ids[777]
    proof = prove(tree, [victim], "present")
    [(number, text)] = proof["buckets"].items()
    entries = base64.b64decode(text)
    kept = [entries[i : i + ENTRY_BYTES] for i in range(0, len(entries), ENTRY_BYTES) if entries[i : i + 16].hex() != victim]
    assert len(kept) * ENTRY_BYTES == len(entries) - ENTRY_BYTES
    lie = {**proof, "claim": "absent", "buckets": {number: base64.b64encode(b"".join(kept)).decode()}}
    assert check_proof(lie, tree.root, [victim]).words.startswith("the proof does not lead to the root")


def test_a_bucket_in_another_order_or_with_an_id_of_another_is_refused(ids: list[str]):
    tree, victim = build_tree(rows_of(set(ids))), ids[777]
    proof = prove(tree, [victim], "present")
    [(number, text)] = proof["buckets"].items()
    entries = base64.b64decode(text)
    for changed, words in (
        (entries[ENTRY_BYTES:] + entries[:ENTRY_BYTES], "is not sorted"),
        (entries[:ENTRY_BYTES] + entries, "is not sorted or holds an id twice"),
        (entries + b"\xff" * ENTRY_BYTES, "holds an id of another bucket"),
        (entries[:-1], "has .* bytes"),
    ):
        lie = {**proof, "buckets": {number: base64.b64encode(changed).decode()}}
        check = check_proof(lie, tree.root, [victim], "present")
        assert not check and re.search(words, check.words)


def test_a_proof_does_not_speak_of_ids_whose_bucket_it_does_not_show(ids: list[str]):
    tree = build_tree(rows_of(set(ids)))
    proof = prove(tree, ["0" * 32], "absent")
    check = check_proof(proof, tree.root, ["0" * 32, "f" * 32])
    assert not check and check.words == f"the proof does not show where {'f' * 32} would be"
    assert not check_proof(proof, tree.root, [])
    assert not check_proof(proof, tree.root, ["no id"])
    assert not check_proof(proof, tree.root, ["0" * 32], "perhaps")
    with pytest.raises(LineageError, match="no proof of 'absent' for 0 ids"):
        prove(tree, [], "absent")


def test_several_ids_share_buckets_and_the_hashes_beside_their_paths(ids: list[str]):
    tree = build_tree(rows_of(set(ids)))
    wanted = ids[:50]  # neighbours: sorted ids
    proof = prove(tree, wanted, "present")
    assert len(proof["buckets"]) < 15 and len(proof["siblings"]) < 25
    single = sum(len(json.dumps(prove(tree, [id_], "present"))) for id_ in wanted)
    assert len(json.dumps(proof)) < single / 5
    assert check_proof(proof, tree.root, wanted, "present")
    assert check_proof(proof, tree.root, wanted[3:9], "present"), "it also shows less"
    everywhere = [f"{number:03x}" + "0" * 29 for number in range(N_BUCKETS)]
    proof = prove(tree, everywhere, "absent")
    assert proof["siblings"] == {} and check_proof(proof, tree.root, everywhere)


def test_a_proof_with_any_part_changed_is_refused_without_a_traceback(ids: list[str]):
    tree, rng = build_tree(rows_of(set(ids))), random.Random(3)
    wanted = ["12" * 16, "ef" * 16]
    proof = prove(tree, wanted, "absent")
    assert check_proof(proof, tree.root, wanted)
    for key in ("format", "buckets", "siblings"):
        for junk in (
            None,
            3,
            "x",
            [],
            {},
            {"0": 3},
            {"x": "y"},
            {"0:0": "zz"},
            {"4096": ""},
            {"-1": ""},
            {"9" * 5000: ""},
            {"1": "=" * 100},
        ):
            assert not check_proof({**proof, key: junk}, tree.root, wanted), (key, junk)
        assert not check_proof({name: value for name, value in proof.items() if name != key}, tree.root, wanted)
    for _ in range(300):
        changed = copy.deepcopy(proof)
        part = changed[rng.choice(["buckets", "siblings"])]
        name = rng.choice(sorted(part))
        at = rng.randrange(len(part[name]))
        old = part[name]
        part[name] = old[:at] + rng.choice([c for c in "0123456789abcdef" if c != old[at]]) + old[at + 1 :]
        same = base64.b64decode(part[name]) == base64.b64decode(old) if len(old) > 64 else False
        assert same or not check_proof(changed, tree.root, wanted)
    for junk in (None, 3, [], "x"):
        assert not check_proof(junk, tree.root, wanted)  # type: ignore[arg-type]
    assert not check_proof(proof, "", wanted)


# --- over a ledger ---


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    ledger = Ledger.open(tmp_path_factory.mktemp("merkle") / "ledger", create=True)
    record_dataset(ledger, "old", name_generations(range(9000)))
    record_dataset(ledger, "new", name_generations(range(1, 9000)))
    return ledger


def test_duckdb_and_python_build_the_same_root(ledger: Ledger):
    with ledger.connect() as connection:
        for dataset in ("old", "new"):
            snapshot = salted(ledger.salt(), dataset)
            rows = connection.execute(
                "select generation_id, row_digest from snapshot_row where snapshot_id = ?", [UUID(snapshot)]
            ).fetchall()
            assert root_of(connection, snapshot) == build_tree((str(id_), row.hex) for id_, row in rows).root


def test_an_erased_row_is_shown_to_be_out_of_the_new_dataset_and_not_of_the_old(ledger: Ledger):
    [gone, kept] = (salted(ledger.salt(), id_) for id_ in name_generations([0, 5]))
    old, new = (salted(ledger.salt(), dataset) for dataset in ("old", "new"))
    with ledger.connect() as connection:
        proof, stays = prove_absence(connection, new, [gone]), prove_presence(connection, new, [kept])
        roots = {snapshot: root_of(connection, snapshot) for snapshot in (old, new)}
        with pytest.raises(LineageError, match=f"{gone} not absent in the dataset with the root {roots[old]}"):
            prove_absence(connection, old, [gone])
        with pytest.raises(LineageError, match="the ledger holds no row of the dataset"):
            prove_absence(connection, "0" * 32, [gone])
    assert check_proof(proof, roots[new], [gone])
    assert not check_proof(proof, roots[old], [gone])
    assert check_proof(stays, roots[new], [kept], "present")


def test_a_dataset_with_a_row_twice_has_no_root(tmp_path: Path):
    ledger = Ledger.open(tmp_path, create=True)
    record_dataset(ledger, "twice", name_generations(range(3)))
    record_dataset(ledger, "twice", name_generations(range(2, 5)))
    with (
        ledger.connect() as connection,
        pytest.raises(LineageError, match=r"are no tree: bucket \d+ is not sorted or holds an id twice"),
    ):
        root_of(connection, salted(ledger.salt(), "twice"))
