"""Packages for the Python of a container, and Jupyter among them."""
