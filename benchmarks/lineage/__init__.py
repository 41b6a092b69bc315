"""What the ledger costs and whether it tells the truth: size, recording, questions, proofs, changes behind our back."""
