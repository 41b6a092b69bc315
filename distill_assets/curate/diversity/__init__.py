"""How varied a corpus is: measures, reports by slice, findings of collapse, and pictures.

Belongs here: reading samples and saying numbers. Does not belong here: marking or dropping a sample; nothing here changes what
is selected.
"""
