"""Which teacher produced which row of which checkpoint: the ledger, manifests, proofs and exports, without Dagster."""
