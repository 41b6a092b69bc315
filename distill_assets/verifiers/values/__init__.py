"""Verifiers of short answers: numbers, choices, texts, JSON values. Each compares with a gold answer in process."""
