"""infoplane: how information moves through a neural network while it learns."""

__version__ = "0.2.0"
