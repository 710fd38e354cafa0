"""Give every purpose a seed of its own, so that no two things draw the same random numbers."""

import hashlib


def own_seed(seed: int, *purpose: str | int) -> int:
    """A whole number below 2^63 for one purpose of a seed; other purposes and other seeds have other numbers.

    Generators with the same seed give the same numbers. Noise on X and on Z would then be equal and make X and Z look
    related; so would noise and data that were drawn with the same seed.
    """
    digest = hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
