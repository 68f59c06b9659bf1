"""The recipes of a history for a network that was fitted to other histories."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.forecasting.fitting import History, Parts, first_recipe, with_choices

if TYPE_CHECKING:
    from pipeline.forecasting.inference import Network
    from pipeline.forecasting.recipe import Recipe
    from pipeline.settings.preset import Preset


class Adopted(NamedTuple):
    """The recipes of one history."""

    evaluated: Recipe  # of the network that test rows are forecast by
    served: Recipe  # of the network that was fitted on all rows


def adopt(network: Network, evaluated: History, whole: History, preset: Preset, *, preset_name: str) -> Adopted:
    """Return the recipes; weights and intervals are chosen as `fitting.fit` and `fitting.refit` choose them.

    Args:
        network: fitted to other histories, on dates before the validation of `evaluated`.
        evaluated: the past of the test rows.
        whole: all rows.
        preset: of the network.
        preset_name: its name.
    """
    known = evaluated._replace(bars=evaluated.bars.up_to(evaluated.train_stop))
    first = first_recipe(known, preset, preset_name)
    rows = Parts.of(known, preset).choice
    chosen = with_choices(network, known, first, rows, preset, uses_network=True)
    served = first_recipe(whole, preset, preset_name).with_weights_of(chosen).with_widths(chosen.widths)
    return Adopted(chosen, served)
