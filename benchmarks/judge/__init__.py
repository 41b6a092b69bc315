"""What judging is worth: attacks on it, legitimate programs through it, and its speed."""
