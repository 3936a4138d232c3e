"""Mixes the forecasts of a trained network with those of a ridge regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.forecasting.intervals import errors_of
from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.ridge import is_clearly_better
from zoo.forecasting.rules import ahead
from zoo.forecasting.series import Series

if TYPE_CHECKING:
    import keras


def best_share(network: np.ndarray, ridge: np.ndarray) -> float:
    """The network's share in the mixture of two forecasts with least squared error.

        share = argmin over [0, 1] of sum (share e_1 + (1 - share) e_2)^2

    Args:
        network: Errors e_1 of the network, of any shape.
        ridge: Errors e_2 of the ridge regression, of the same shape.
    """
    apart = ridge - network
    scale = (apart**2).sum()
    return float(np.clip((ridge * apart).sum() / scale, 0, 1)) if scale > 0 else 0.0


def clear_share(model: keras.Model, data: Series, recipe: ForecastRecipe) -> float:
    """The share of a model in the forecasts that is best on the validation part.

    Args:
        model: The trained model.
        data: The series.
        recipe: The recipe.

    Returns:
        The share, rounded to hundredths; 1 or 0 for a model that corrects the
        regression itself. 0 if the mixture is not clearly better than the regression
        (`is_clearly_better`).
    """
    places, base, network = errors_of(model, data, recipe, "validation")
    if recipe.base == "ridge":
        ridge, share = base, 1.0
    else:
        known = data.scaled()[:, list(data.targets)]
        found = data.ridge(recipe).forecast(known, places)
        ridge = ahead(known, places, recipe.horizon) - found
        share = round(best_share(network, ridge), 2)
    mixed = share * network + (1 - share) * ridge
    ours, simple = (np.square(e).mean(axis=(1, 2)) for e in (mixed, ridge))
    clear = is_clearly_better(ours, simple, np.arange(len(ours)), recipe.horizon)
    return share if clear else 0.0
