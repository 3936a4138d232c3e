"""The public names of the library and the zoo, and where each has its page."""

import functools
import importlib
import inspect
from typing import NamedTuple

import keras
import keras_tuner

# Each module with public names, as users write it, in the order of the site.
MODULES = (
    "bptt_keras",
    "bptt_keras.data",
    "bptt_keras.truncation",
    "bptt_keras.clipping",
    "bptt_keras.layers",
    "bptt_keras.initializers",
    "bptt_keras.diagnostics",
    "bptt_keras.callbacks",
    "bptt_keras.tuning",
    "bptt_keras.distribute",
    "zoo",
    "zoo.datasets",
    "zoo.layers",
)
# What every object of a kind has, or only this package calls.
UNSAID = {
    *("answers_at_each_step", "apply_finite", "arrays", "build", "build_from_config"),
    *("call", "call_with_state", "compile_from_config", "compute_loss", "examined"),
    *("compute_mask", "compute_metrics", "compute_output_shape", "count_skipped"),
    *("compute_output_spec", "distribute_strategy", "finalize_variable_values"),
    *("from_config", "get_build_config", "get_compile_config", "get_config"),
    *("get_initial_state", "get_metrics_result", "jit_compile", "kernel_of"),
    *("load_own_variables", "make_predict_function", "make_test_function"),
    *("make_train_function", "observe", "on_epoch_end", "output_names"),
    *("predict_step", "save_own_variables", "test_step", "train_step", "variables"),
    *("with_known_lines", "zero_state"),
}
SEARCHING = ("search", "get_best_models", "get_best_hyperparameters", "describe_best")


class Name(NamedTuple):
    """A public name.

    Fields:
        module: The module, as users write it.
        name: The name in it.
        value: What it is.
    """

    module: str
    name: str
    value: object

    @property
    def path(self):
        """The name with its module."""
        return f"{self.module}.{self.name}"


def module(name):
    """A module, under the name that users write."""
    if name == "bptt_keras.clipping":
        return importlib.import_module("bptt_keras").clipping
    return importlib.import_module(name)


@functools.cache
def public_names():
    """Every public name that is no module, in the order of the site."""
    found = []
    for module_name in MODULES:
        of = module(module_name)
        for name in sorted(of.__all__, key=str.lower):
            value = getattr(of, name)
            if not inspect.ismodule(value):
                found.append(Name(module_name, name, value))
    return found


def members_of(value):
    """Names of the methods and properties of a class that users call.

    Those of a base class that is public itself are on its own page, and callbacks are
    called by Keras alone.
    """
    if issubclass(value, keras.callbacks.Callback):
        return []
    if issubclass(value, keras_tuner.Tuner):
        return list(SEARCHING)
    found = []
    others = [n.value for n in public_names() if n.value is not value]
    for owner in value.__mro__:
        if any(owner is other for other in others):
            break
        if not owner.__module__.startswith(("bptt_keras", "zoo")):
            continue
        for name, member in vars(owner).items():
            method = inspect.isroutine(member) or isinstance(
                member, (classmethod, property, staticmethod)
            )
            if name.startswith("_") or name in UNSAID or name in found or not method:
                continue
            if inspect.getdoc(getattr(value, name)):
                found.append(name)
    return found
