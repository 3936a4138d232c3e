import math

import pytest

from zoo.plain.scales import cells, perplexity


def test_perplexity_is_the_exponential_and_never_raises():
    assert perplexity(math.log(78.93)) == pytest.approx(78.93)
    assert perplexity(1e4) == math.inf and math.isnan(perplexity(math.nan))


def test_a_metric_of_one_scale_has_one_column():
    assert cells(0.5, "") == ["0.5000"]
    assert cells(1e-5, "") == ["1e-05"]
