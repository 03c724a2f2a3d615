"""Real machines for the tests: a laptop and a GPU server in namespaces of one Linux machine."""
