"""One authenticated SSH connection: fabric and paramiko, with our own socket and host keys.

``config`` resolves a name, ``hostkeys`` decides whom to trust, ``login`` which keys to show,
``transport`` how to speak, ``link`` puts them together; ``shell`` is the one place that quotes.
"""
