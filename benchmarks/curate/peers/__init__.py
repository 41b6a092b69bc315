"""Near duplicates by other people's libraries, as their users call them, and ours in a process of the same kind."""
