"""What a person runs: one module a command, each without argument parsing (cli)."""
