"""What tests of pictures share."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# What a file, a column or a title may be called.
ODD = [
    "$\\frac{",
    "a$b_$c.txt",
    "half \ud800",
    "bell\a and\nline",
    "x" * 10_000,
    "汉字",
]
