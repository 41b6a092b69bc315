"""A mathematical answer held against another by what it means, in a child process."""
