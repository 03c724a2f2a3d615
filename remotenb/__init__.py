"""remotenb: from a laptop to a running Jupyter in the NGC container of a GPU server."""

__version__ = "0.1.0"
