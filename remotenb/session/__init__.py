"""A session: opened, kept through what happens to its link, ended."""
