"""From a port of the laptop to a server on the far side.

``listener`` owns the port, bound once. A *carrier* takes one accepted connection to the far
side: ``direct`` by a forward of sshd's. ``gate`` stands before servers that let anybody in,
``onetime`` hands the browser its first address.
"""
