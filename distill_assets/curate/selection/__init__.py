"""How the selection is made: who comes first, what bounds hold, and what is shown of it.

Belongs here: pure functions that curate/select.py puts together. Does not belong here: dropping itself, which is done in
curate/select.py and nowhere else.
"""
