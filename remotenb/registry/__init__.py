"""A client for registries of images, on the laptop; the credentials do not leave it.

Pure: ``challenge`` (who gives tokens), ``manifests`` (what an image is made of).
Effects: ``session`` (HTTP, tokens), ``client`` (manifests, blobs), ``failures`` (what went wrong).
A registry is believed in nothing: every answer is bounded in size, every blob is proved.
"""
