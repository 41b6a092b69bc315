"""Other clients and frameworks, asked for the same rows from the same server."""
