"""Plug-ins for infoplane that live in a package of their own."""
