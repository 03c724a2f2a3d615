"""An image's way from one machine to another, over what SSH gives: a layer at a time."""
