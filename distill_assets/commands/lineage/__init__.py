"""`distill lineage`: audits of the ledger, withdrawals, erasure with proof, exports."""
