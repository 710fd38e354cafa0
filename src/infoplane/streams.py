"""A seed for every purpose: what one thing draws at random never serves another, nor equals what a user drew."""

import hashlib


def own_seed(seed: int, *purpose: str | int) -> int:
    """A whole number below 2^63 for one purpose of a seed; other purposes and other seeds have other numbers.

    Generators that begin with the same seed give the same numbers: noise on X and on Z would then be equal, and tell
    each other's values, and so would noise and data that were drawn with it.
    """
    digest = hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
