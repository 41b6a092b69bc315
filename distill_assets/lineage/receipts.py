"""The receipt of an erasure: what went, from which dataset to which, and the proof that a third party checks offline.

Belongs here: its form and its check. Does not belong here: the erasure (commands/lineage/erasing) or trees (merkle).

It names rows by salted ids, so that it tells nobody what they said. It proves that the recorded rows are in the old dataset and not
in the new one, by the Merkle roots that both checkpoints' lineages carry. It cannot prove that a row which was never recorded as coming
from the seed does not; nor does it reach weights that were given away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill_assets.identity import canonical_json, hash_text
from distill_assets.lineage.merkle import check_proof
from distill_assets.lineage.verify import Finding

FORMAT = "distill-receipt/1"
LIMITS = (
    "weights of checkpoints trained before the erasure, and copies of them that were given away, still carry what they learned",
    "texts that left this workspace before (a teacher's provider, backups, exports) are out of its reach",
    "files of seeds belong to who wrote them; a withdrawn seed that still stands in one is left out, not removed",
    "the proof covers what was recorded as derived; the ledger proves that records are unchanged, not that a provider told the truth",
    "a salted id can be tested against a guess by who holds this workspace's salt",
)


def build_receipt(parts: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt with its own digest.

    Args:
        parts: tombstone, recipe, at, before, after (data_version, merkle_root, checkpoint), erased (ids, counts), proofs, texts, chain.
    """
    body = {"format": FORMAT, **parts, "limits": list(LIMITS)}
    return {**body, "sha256": digest_receipt(body)}


def digest_receipt(receipt: Mapping[str, Any]) -> str:
    """SHA-256 of a receipt without its digest."""
    return hash_text(canonical_json({name: value for name, value in receipt.items() if name != "sha256"}))


def verify_receipt(receipt: object) -> list[Finding]:
    """What does not hold of a receipt, with nothing else at hand."""
    where = "receipt"
    if not isinstance(receipt, dict) or receipt.get("format") != FORMAT:
        return [Finding("error", where, f"it is no receipt of the format {FORMAT}")]
    try:
        found = _check(receipt, where)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        return [Finding("error", where, f"it cannot be read: {type(error).__name__}: {str(error)[:200]}")]
    chain = "held only against its own roots: compare them with both checkpoints' lineage.json, and its sha256 with the chain's erasure event"
    return [*found, Finding("note", where, chain)]


def _check(receipt: dict[str, Any], where: str) -> list[Finding]:
    found = []
    if digest_receipt(receipt) != receipt["sha256"]:
        found.append(Finding("error", where, "its bytes are not those that were signed by its sha256"))
    proofs = {proof["claim"]: proof for proof in receipt["proofs"]}
    for claim, side, ids in (("present", "before", "ids_out"), ("absent", "after", "ids")):
        named = receipt["erased"][ids]
        proof = proofs.get(claim)
        if proof is None:
            if named:
                found.append(Finding("error", where, f"it has no proof that {len(named)} rows are {claim}"))
            continue
        checked = check_proof(proof, receipt[side]["merkle_root"], named, claim)
        if not checked.holds:
            found.append(Finding("error", where, f"the proof that rows are {claim} {side} does not hold: {checked.words}"))
    return found
