"""Sessions that other processes of this user can find, ask and end.

``state`` keeps a small file for each, ``control`` is the door to it, ``hub`` hands its events to
all who listen, ``detach`` lets one run without its terminal. None of it is needed for a session
to be right: without the files one cannot be joined, and that is all.
"""
