"""A laptop with Windows on it: CPython for Windows, run by Wine, in the network of the rig."""
