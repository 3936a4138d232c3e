"""Random damage to a file, drawn from a seed."""

import random

# What sizes and counts look like at their ends.
ENDS = (0, 1, 0x7F, 0x80, 0xFF)


def damaged(content: bytes, seed: int) -> bytes:
    """The content with a few bytes changed, cut out, repeated or added."""
    rng = random.Random(seed)
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place, kind = rng.randrange(len(data)), rng.randrange(8)
        if kind < 2:
            data[place] = rng.randrange(256)
        elif kind == 2:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 3:  # a number of two, four or eight bytes
            size = rng.choice((2, 4, 8))
            data[place : place + size] = bytes([rng.choice(ENDS)]) * size
        elif kind == 4:
            data = data[: max(1, place)]
        elif kind == 5:
            del data[place : place + rng.randrange(1, 65)]
        elif kind == 6:
            data[place:place] = data[place : place + rng.randrange(1, 65)]
        else:
            data[place:place] = rng.randbytes(rng.randrange(1, 9))
        if not data:
            data = bytearray(1)
    return bytes(data)
