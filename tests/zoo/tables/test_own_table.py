"""Tables of users, read as they are meant."""

import gzip
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from zoo.system.errors import UserError
from zoo.tables.own_table import read_table

DAYS = [f"2024-03-{day:02}" for day in range(1, 29)]
VALUES = [str(day * day % 11) for day in range(1, 29)]
NUMBERS = [float(value) for value in VALUES]


@pytest.fixture
def read(tmp_path):
    """Reads a table of some content."""

    def call(content, **options):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, **options)

    return call


@pytest.fixture
def refused(read):
    """Reads a table that must be refused; returns the message."""

    def call(content, **options):
        with pytest.raises(UserError) as error:
            read(content, **options)
        return str(error.value)

    return call


def csv(*columns, heading=None, mark=","):
    rows = [mark.join(row) for row in zip(*columns, strict=True)]
    return "\n".join([heading, *rows] if heading else rows) + "\n"


def dated(values=VALUES, days=DAYS, heading="day,a"):
    return csv(days, values, heading=heading)


def test_one_line_says_what_was_read(read):
    counts = [str(i) for i in range(28)]
    content = csv(DAYS, counts, VALUES, ["5"] * 28, heading="day,,a,flag")
    table = read(content)
    assert table.columns == ("a",) and table.values[:, 0].tolist() == NUMBERS
    assert table.summary == (
        "read t.csv: 28 rows, column a; times: day, step 1 day; left out: column2 "
        "(index), flag (constant)"
    )


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_all_line_endings_and_delimiters_are_read_alike(read, end, mark):
    content = dated().replace("\n", end).replace(",", mark)
    assert read(content).values[:, 0].tolist() == NUMBERS


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: gzip.compress(text.encode()),
        lambda text: (
            gzip.compress(text[:50].encode()) + gzip.compress(text[50:].encode())
        ),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
    ],
)
def test_packed_files_and_byte_order_marks_are_read(read, encode):
    assert read(encode(dated())).columns == ("a",)


def test_comments_and_blank_lines_are_skipped_and_counted(read, refused):
    lines = ["# made here", "", *dated().splitlines()[:9], "# half", "", "2024-03-10,x"]
    assert "'x' in line 14" in refused("\n".join(lines))
    assert len(read("\n".join(lines[:-1])).values) == 8


def test_without_a_heading_the_first_row_is_data(read):
    table = read(csv(DAYS, VALUES))
    assert table.columns == ("column2",) and len(table.values) == 28
    assert "no heading: named column1 ... column2" in table.summary
    assert read(csv(VALUES)).columns == ("column1",)
    named = read(csv(["7", *VALUES]), heading="yes")
    assert named.columns == ("7",) and len(named.values) == 28


def test_headings_that_columns_share_are_refused(refused):
    message = refused(csv(VALUES, VALUES, VALUES, heading="a,b,a"))
    assert "several columns share: a. Rename" in message


@pytest.mark.parametrize(
    ("column", "step", "ahead"),
    [
        ([f"{i:02}.03.2024" for i in range(1, 29)], "1 day", "29.03.2024"),
        ([f"3/{i}/24" for i in range(1, 29)], "1 day", "03/29/24"),
        (
            [f"{2000 + i // 12}-{i % 12 + 1:02}" for i in range(28)],
            "1 month",
            "2002-05",
        ),
        ([f"{1980 + i}" for i in range(28)], "1", "2008"),
        ([f"{1.5e9 + 3600 * i:.0f}" for i in range(28)], "1 hour", "1500100800"),
        ([f"{1.5e12 + 9e5 * i:.0f}" for i in range(28)], "15 minutes", "1500025200000"),
        ([f"202403{i:02}" for i in range(1, 29)], "1 day", "20240329"),
        (
            [f"2024-03-01T{i // 4:02}:{i % 4 * 15:02}:00Z" for i in range(28)],
            "15 minutes",
            "2024-03-01T07:00:00Z",
        ),
        (
            [f"2024-03-{i:02}" for i in range(1, 32) if i % 7 not in (2, 3)],
            "1 business day",
            "2024-04-01",
        ),
    ],
)
def test_times_are_recognised_and_continued(read, column, step, ahead):
    table = read(csv(column, VALUES[: len(column)], heading="time,a"))
    assert table.columns == ("a",)
    assert table.clock.step_in_words == step
    assert table.clock.texts(table.clock.after(1)) == [ahead]
    assert table.clock.texts(table.clock.times) == column or "/" in column[0]


def test_the_ends_of_months_stay_ends(read):
    ends = ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30", "2023-05-31"]
    table = read(dated(VALUES[:5], ends))
    assert table.clock.texts(table.clock.after(2)) == ["2023-06-30", "2023-07-31"]


def test_reversed_times_are_turned_round_and_unordered_ones_sorted(read):
    table = read(dated(VALUES[::-1], DAYS[::-1]))
    assert table.values[:, 0].tolist() == NUMBERS
    assert "newest row first: turned round" in table.summary
    swapped = [*DAYS[1::-1], *DAYS[2:]]
    table = read(dated([*VALUES[1::-1], *VALUES[2:]], swapped))
    assert table.values[:, 0].tolist() == NUMBERS
    assert "rows sorted by time" in table.summary


def test_a_duplicate_time_is_refused(refused, read):
    content = dated(VALUES, [*DAYS[:5], DAYS[2], *DAYS[6:]])
    message = refused(content)
    assert "the first in lines 4 and 7, 2024-03-03 of column 'day'" in message
    assert len(read(content, time="none").values) == 28


def test_gaps_in_time_are_reported_and_filled(read):
    kept = [i for i in range(28) if i not in (4, 5, 20)]
    content = dated([VALUES[i] for i in kept], [DAYS[i] for i in kept])
    assert "2 gaps in time, first after 2024-03-04" in read(content).summary
    table = read(content, fill="last")
    assert len(table.values) == 28 and table.values[4:6, 0].tolist() == [NUMBERS[3]] * 2
    assert "3 missing rows put in" in table.summary and not len(table.clock.gaps)


@pytest.mark.parametrize("gap", ["", "NA", "NaN", "null", "?", "-", "?0.2", "inf"])
def test_missing_values_are_refused_with_their_place_or_filled(read, refused, gap):
    content = dated([*VALUES[:4], gap, *VALUES[5:8], gap, *VALUES[9:]])
    shown = repr(gap) + " in " if gap in ("?0.2", "inf") else ""
    message = refused(content)
    assert f"2 values are missing or no number, the first: {shown}line 6" in message
    assert "column 'a'" in message
    table = read(content, fill="linear")
    assert table.values[4, 0] == (NUMBERS[3] + NUMBERS[5]) / 2
    assert "2 missing values filled (linear)" in table.summary
    assert len(read(content, fill="drop").values) == 26


def test_texts_are_left_out_and_tables_of_texts_refused(read, refused):
    content = csv(VALUES, ["x"] * 28, heading="a,place")
    assert read(content).left_out == {"place": "text"}
    message = refused(csv(["x"] * 28, heading="place"))
    assert "no column is a series of numbers. There are: place (text)" in message


def test_constant_columns_are_left_out_unless_requested(read, refused):
    still = ["1"] * 24 + ["2"] * 4
    content = csv(VALUES, ["7"] * 28, still, heading="a,b,c")
    table = read(content)
    assert table.columns == ("a",)
    assert table.left_out["c"] == "constant where the model learns"
    assert read(content, columns_used="b, a").columns == ("b", "a")
    assert read(content, needed=("c", "a")).columns == ("c", "a")
    assert "never change" in refused(csv(["7"] * 28, heading="b"))


@pytest.mark.parametrize(
    ("text", "mark", "options", "value"),
    [
        ("1,5", ";", {}, 1.5),
        ("1.234,5", ";", {}, 1234.5),
        ("1,5", None, {}, 1.5),
        ('"1,234"', ",", {}, 1234.0),
        ("1,234.5", ";", {}, 1234.5),
        ("1,234", ";", {"decimal": "comma"}, 1.234),
        ("1,234", ";", {"decimal": "point"}, 1234.0),
        ("1.234", ";", {"decimal": "comma"}, 1234.0),
    ],
)
def test_commas_are_read_as_decimals_or_delimiters_as_meant(
    read, text, mark, options, value
):
    others = [text.replace("1", str(i % 9 + 1), 1) for i in range(27)]
    columns = [[text, *others]] if mark is None else [DAYS, [text, *others]]
    heading = "a" if mark is None else f"day{mark}a"
    table = read(csv(*columns, heading=heading, mark=mark or ","), **options)
    assert table.values[0, 0] == value


def test_commas_that_may_mean_either_are_refused(refused):
    values = [f"{value}1,234" for value in VALUES]
    message = refused(csv(DAYS, values, heading="day;a", mark=";"))
    assert "`--decimal point` or `--decimal comma`" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no rows"),
        ("a,b\n", "a heading and at least one row"),
        ("a,b\n1,2\n3\n4,5\n", "line 3 has 1 field, others have 2"),
        ("a,b\n1,2\n3,4,5\n4,5\n", "line 3 has 3 fields, others have 2"),
        ('a,b\n1,2\n"3,4\n5,6\n', "the quote in line 3 of .* is not closed"),
        ("a\n1\n2e200\n3\n", "beyond 1e\\+100"),
        ("a\n1\n" + "9" * 200_000 + "\n3\n", "'9{40}' in line 3"),
        ("a\n" + "1" * 1_000_001, "line 2 of .* has 1,000,001 characters"),
        ("a\n" + "\n" * 1_000_001, "more than 1,000,000 lines"),
        ("a" * 201 + "\n1\n2\n", "a heading of 201 characters"),
        (b"a\n\0", "is binary"),
        (b"a\xff\n1\n", "not at byte 1"),
        ("a\ud800,b\n".encode("utf-16", "surrogatepass"), "must be text"),
        (b"PK\x03\x04", "a zip file or a spreadsheet"),
        # Without the time, which would name the test differently in each worker.
        (
            gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:25],
            "is cut off|cannot be unpacked",
        ),
        (gzip.compress(b"1," * 40_000_000), "unpacks to more than 67,108,864 bytes"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused_in_a_sentence(refused, content, message):
    found = refused(content)
    assert re.search(message, found) and len(found) < 400


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns_used": "a,x"}, "names no column of the table: 'x'"),
        ({"columns_used": "place"}, "is no numbers: 'place', such as 'x' in line 2"),
        ({"columns_used": "a,a"}, "names a column twice"),
        ({"time": "x"}, "`--time` names no column"),
        ({"time": "place"}, "cannot be read as times, such as 'x'"),
    ],
)
def test_unsuitable_options_are_refused(refused, options, message):
    content = csv(VALUES, ["x"] * 28, heading="a,place")
    assert message in refused(content, **options)


def test_a_time_that_is_not_a_date_is_shown(refused):
    assert "column 'day', line 26 is 'soon'" in refused(
        dated(days=[*DAYS[:24], "soon", *DAYS[25:]])
    )


def test_reading_needs_no_tensorflow(tmp_path):
    (tmp_path / "t.csv").write_text(dated())
    code = (
        "import sys; from zoo.tables.own_table import read_table; "
        f"read_table({str(tmp_path / 't.csv')!r}); "
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_thousands_of_columns_are_read(read):
    rows = np.arange(9_000).reshape(3, 3_000) ** 2 % 97
    lines = [",".join(map(str, row)) for row in rows]
    heading = ",".join(f"n{i}" for i in range(3_000))
    table = read("\n".join([heading, *lines]), time="none")
    assert len(table.columns) + len(table.left_out) == 3_000


def test_a_last_row_with_all_delimiters_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text("a\n1\n2\n,;\t|\n")
    with pytest.raises(UserError, match="`--data`"):
        read_table(path)


@pytest.mark.parametrize("odd", ["0001-01-01", "9999-12-31"])
def test_rows_are_not_inserted_between_dates_that_pandas_has_not(tmp_path, odd):
    path = tmp_path / "my.csv"
    days = [f"2024-03-{day:02},{day % 7}" for day in range(1, 20)]
    path.write_text("\n".join(["day,load", f"{odd},3", *days]))
    with pytest.raises(UserError, match="not from 1678 to 2261"):
        read_table(path, fill="linear")


def test_a_gap_of_billions_of_rows_is_not_put_in(tmp_path):
    path = tmp_path / "my.csv"
    rows = [f"2024-03-01 00:00:00.{part:03},{part % 7}" for part in range(1, 20)]
    path.write_text("\n".join(["time,load", "1700-01-01 00:00:00.000,3", *rows]))
    assert len(read_table(path, fill="linear").values) == 20


def test_marks_of_the_encoding_may_come_twice(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text("\ufeff \ufeff\nload\n" + "\n".join("123" * 4), encoding="utf-8")
    assert read_table(path).columns == ("load",)


def test_many_columns_that_are_nearly_dates_are_refused_quickly(tmp_path):
    path = tmp_path / "my.csv"
    rows = [",".join(f"1960 | {i} | {j % 4}" for j in range(40)) for i in range(21)]
    path.write_text("\n".join(rows))
    start = time.process_time()
    with pytest.raises(UserError):
        read_table(path)
    assert time.process_time() - start < 2
