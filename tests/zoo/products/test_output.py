import numpy as np

from zoo.products.output import ForecastTable
from zoo.tables.clock import Clock

AHEAD = np.array([[1.0, 10.0], [2.0, 20.0]])
DAYS = np.array(["2024-03-01", "2024-03-02", "2024-03-03"], "datetime64[D]")


def test_times_continue_those_of_the_table():
    clock = Clock.of("day", DAYS, "%d.%m.%Y")
    table = ForecastTable.of(clock, ["a", "b"], AHEAD, None)
    assert table.csv() == "day,a,b\n04.03.2024,1,10\n05.03.2024,2,20\n"


def test_intervals_are_beside_their_column():
    table = ForecastTable.of(None, ["a", "a_low"], AHEAD, np.full((2, 2), 0.5))
    heading, first, _ = table.csv().splitlines()
    assert heading == "step,a,a_low_,a_high,a_low,a_low_low,a_low_high"
    assert first == "1,1,0.5,1.5,10,9.5,10.5"


def test_headings_are_not_formulas():
    names = ["=HYPERLINK(1)", "+1", "@a"]
    table = ForecastTable.of(None, names, np.ones((1, 3)), None)
    assert table.csv().splitlines()[0] == "step,'=HYPERLINK(1),'+1,'@a"
