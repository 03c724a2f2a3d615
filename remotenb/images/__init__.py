"""Images of a machine: their names, how they come to it, how one is made of a container."""
