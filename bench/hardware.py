"""On what a benchmark was run, for the head of its record."""

from infoplane.provenance import machine as hardware

__all__ = ["hardware"]
