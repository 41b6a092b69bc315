"""Checking answers that are SQL: databases to run on, a runner that trusts nothing, comparison."""
