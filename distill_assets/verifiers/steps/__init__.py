"""Whether a reasoning is right step by step: its sums, its queries, and what it says of the answer that it leads to."""
