"""Which teacher produced which row of which checkpoint, on record: a ledger that only grows, and what is read from it.

Belongs here: the ledger and its proofs, the manifest beside the weights, pages and exports made from it. Does not belong
here: Dagster (assets and checks call this package) and the tables that stages exchange (tables, storage), which are
written anew with each run while the ledger keeps what it was told.
"""
