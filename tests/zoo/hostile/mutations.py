"""Changes to a valid file that a seed determines: damage, and odd values."""

import copy
import gzip
import json
import random
import re

# What sizes and counts look like at their ends.
ENDS = (0, 1, 0x7F, 0x80, 0xFF)
LARGEST = 4 * 10**6  # characters; reading more would take most of the time
HUGE_NUMBER = "a number of 10,000 digits"
ODD_VALUES = (
    *(None, True, False, 0, 1, -1, 2, 127, 2**31 - 1, 2**31, 2**53, 2**63, 2**64),
    *(10**30, 10**400, -(10**400), HUGE_NUMBER),
    *(0.0, -0.0, 0.5, 1e-320, 1e38, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", " ", "\0", "\n", "\x1b[31m", "../x", "/etc/passwd", "C:\\x", "con", "\ud800"),
    *("\N{RIGHT-TO-LEFT OVERRIDE}x", "\N{GRINNING FACE}", "x" * 10_000, "{0}", "%s"),
    *("file:///etc/passwd", "https://[::1", "javascript:x", "hf://", "http://x:99999"),
    *([], {}, [[]], [None], {"": None}, {"class_name": "Lambda"}, ["x"] * 300),
)
ODD_FIELDS = (
    *("", " ", "nan", "-inf", "1e400", "1e308", "1e-400", "-0", "+", "-", ".", "0x10"),
    *("1_000", "1,5", "1.234,5", "1,234,567.8", "1" * 150, "1" * 5000, "-" * 150, "?"),
    *(
        "\N{ARABIC-INDIC DIGIT ONE}2",
        "\N{SUPERSCRIPT TWO}",
        "\N{VULGAR FRACTION ONE HALF}",
    ),
    *("2024-02-30", "9999-12-31", "0001-01-01", "24:00", "31/12/99999", "1e18"),
    *(
        "2024-01-01T00:00:00+99:99",
        "2024-01-01 00:00:00Z",
        "-1",
        "99999999999999999999",
    ),
    *("True", "None", '"', '""', "'", "#", "@data", "@timeStamps true", "\\n", "sep=;"),
    *("\0", "\x1b[2J", "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{ZERO WIDTH NO-BREAK SPACE}"),
    *("\N{COMBINING ACUTE ACCENT}", "\x85", "\N{LINE SEPARATOR}", "x" * 300, "=1+1"),
)
_FIELDS = re.compile(r"([,;:|\t \n\r]+)")


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


def odd_json(content: bytes, seed: int) -> bytes:
    """JSON with a few values replaced, left out, renamed, moved or nested."""
    rng = random.Random(seed)
    if rng.random() < 0.1:
        return damaged(content, seed)
    root = [json.loads(content)]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change(root, rng)
    text = json.dumps(root[0], ensure_ascii=rng.random() < 0.5)
    text = text.replace(f'"{HUGE_NUMBER}"', "1" * 10_000)
    return text.encode("utf-8", "surrogatepass")


def _change(root: list, rng: random.Random) -> None:
    """Changes one value in a tree of lists and objects."""
    outer, key = rng.choice(_places(root))
    kind = rng.randrange(8)
    if kind < 3:
        outer[key] = copy.deepcopy(rng.choice(ODD_VALUES))
    elif kind == 3 and outer is not root:
        del outer[key]
    elif kind == 4 and isinstance(outer, dict):
        outer[rng.choice(("", "x", "../x", "\ud800", key * 2))] = outer.pop(key)
    elif kind == 5:
        other, place = rng.choice(_places(root))
        # A copy: a value within itself would be endless.
        outer[key] = copy.deepcopy(other[place])
    elif kind == 6:
        for _ in range(rng.choice((1, 10, 100))):
            outer[key] = [outer[key]] if rng.random() < 0.5 else {"x": outer[key]}
    elif isinstance(outer[key], list | str) and len(outer[key]) < 1000:
        outer[key] *= rng.choice((2, 100))
    elif isinstance(outer[key], int | float):
        outer[key] *= rng.choice((-1, 10, 10**6))


def _places(root: list) -> list:
    """All `(list or object, index or key)` in a tree."""
    found, waiting = [], [root]
    while waiting:
        outer = waiting.pop()
        items = outer.items() if isinstance(outer, dict) else enumerate(outer)
        for key, value in items:
            found.append((outer, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    return found


def odd_text(content: bytes, seed: int) -> bytes:
    """A table or another text with odd fields, lines, marks, endings or encoding."""
    rng = random.Random(seed)
    if rng.random() < 0.15:
        return damaged(content, seed)
    text = content.decode()
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = _changed_text(text, rng)[:LARGEST]
    encoding = rng.choices(
        ("utf-8", "utf-8-sig", "utf-16", "cp1252"), weights=(20, 1, 1, 1)
    )[0]
    data = text.encode(encoding, "replace")
    return gzip.compress(data, 1, mtime=0) if rng.random() < 0.02 else data


def _changed_text(text: str, rng: random.Random) -> str:
    kind = rng.randrange(9)
    if kind < 4:
        pieces = _FIELDS.split(text)
        for _ in range(rng.choice((1, 1, 3))):
            # At even places there are fields, at odd ones what is between them.
            place = 2 * rng.randrange((len(pieces) + 1) // 2)
            pieces[place] = rng.choice(ODD_FIELDS)
        if rng.random() < 0.2 and len(pieces) > 1:
            pieces[2 * rng.randrange(len(pieces) // 2) + 1] = rng.choice(
                ("", ",", ";", "\t", ":", "\n\n", "\r")
            )
        return "".join(pieces)
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    if kind == 4:
        lines[place : place + rng.choice((1, 5, 1000))] = []
    elif kind == 5:
        lines[place:place] = lines[place : place + 1] * rng.choice((1, 2, 2000))
    elif kind == 6:
        lines[place] *= rng.choice((2, 500))
    elif kind == 7:
        lines[place:place] = [rng.choice(ODD_FIELDS)]
    else:
        old, new = rng.choice(",;\t: \n"), rng.choice(",;\t: |\r")
        return text.replace(old, new)
    return "\n".join(lines)
