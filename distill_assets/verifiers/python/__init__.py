"""A Python answer judged by what it does: its function called, tests run against it, or its output read.

extract finds the program in an answer, gold (and literal) reads what is expected, compare says whether values agree, verify judges.
"""
