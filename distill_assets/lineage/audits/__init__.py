"""Questions to the ledger: who taught a checkpoint, why a row is in it, what a withdrawal touches, what changed."""
