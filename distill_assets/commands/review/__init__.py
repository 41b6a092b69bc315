"""`distill review`: people look at judged samples and label them, in a terminal or on a local page."""
