import json

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from bptt_keras.tuning.jobs.definition import (
    ChangedError,
    describe_data,
    describe_space,
    refuse_changes,
)

OLD = {
    "tuner": "RandomSearch",
    "space": {"units": "4 to 8", "rate": "one of [1, 2]"},
    "fit": {"epochs": 3, "batch_size": 8},
    "data": ["array (2, 3) float32 0123"],
}


def refused(new, *, extend=False):
    with pytest.raises(ChangedError) as caught:
        refuse_changes(OLD, new, extend=extend, folder="runs/a")
    return str(caught.value)


def test_an_unchanged_job_resumes():
    refuse_changes(OLD, json.loads(json.dumps(OLD)), extend=False, folder="runs/a")


def test_a_changed_range_is_refused_with_both_ranges():
    new = {**OLD, "space": {**OLD["space"], "units": "4 to 16"}}
    text = refused(new)
    assert "units was 4 to 8, is 4 to 16" in text
    assert "runs/a" in text
    assert "rate" not in text


def test_added_and_removed_parameters_are_refused_by_name():
    text = refused({**OLD, "space": {"rate": "one of [1, 2]", "depth": "1 to 2"}})
    assert "units was 4 to 8, is not there" in text
    assert "depth was not there, is 1 to 2" in text


def test_extending_lets_the_space_differ():
    refuse_changes(OLD, {**OLD, "space": {}}, extend=True, folder="runs/a")


def test_extending_lets_nothing_else_differ():
    text = refused({**OLD, "space": {}, "tuner": "GridSearch"}, extend=True)
    assert "tuner was RandomSearch, is GridSearch" in text
    assert "units" not in text


def test_a_changed_entry_of_fit_is_named_with_its_path():
    text = refused({**OLD, "fit": {"epochs": 5, "batch_size": 8}})
    assert "fit.epochs was 3, is 5" in text
    assert "batch_size" not in text


def test_changed_data_are_refused():
    assert "data was" in refused({**OLD, "data": ["array (2, 3) float32 4567"]})


def test_an_entry_that_is_gone_is_named():
    text = refused({key: value for key, value in OLD.items() if key != "data"})
    assert "is not there" in text


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "binary"])
def test_plain_values_describe_themselves(value):
    assert describe_data(value) == value


def test_arrays_are_distinguished_by_shape_dtype_and_content():
    array = np.arange(6, dtype="float32").reshape(2, 3)
    changed = array.copy()
    changed[1, 2] += 1e-3
    others = [array.T, array.astype("float64"), changed, array[:1]]
    texts = [describe_data(value) for value in (array, *others)]
    assert len(set(texts)) == 5
    assert "(2, 3)" in texts[0] and "float32" in texts[0]


def test_the_layout_in_memory_makes_no_difference():
    array = np.arange(6, dtype="float32").reshape(2, 3)
    assert describe_data(np.asfortranarray(array)) == describe_data(array)
    assert describe_data(tf.constant(array)) == describe_data(array)


def test_dicts_and_tuples_are_described_entry_by_entry():
    array = np.ones(2)
    told = describe_data({"x": (array, None), 1: [array, "a"]})
    assert told == {
        "x": [describe_data(array), None],
        "1": [describe_data(array), "a"],
    }


def test_a_list_of_numbers_is_an_array():
    assert describe_data([1, 2, 3]) != describe_data([1, 2, 4])
    assert "(3,)" in describe_data([1, 2, 3])


def test_arrays_of_texts_are_the_same_in_every_process():
    # Their bytes are addresses.
    one = np.array(["".join(["a", "b"]), "c", None], dtype=object)
    other = np.array(["".join(["a", "b"]), "c", None], dtype=object)
    assert describe_data(one) == describe_data(other)
    assert describe_data(one) != describe_data(np.array(["ab", "d", None], object))


def test_a_ragged_list_is_described_entry_by_entry():
    told = describe_data([np.ones(2), np.ones(3)])
    assert len(told) == 2 and told[0] != told[1]


def test_datasets_and_functions_are_described_by_their_type():
    dataset = tf.data.Dataset.range(3)
    assert describe_data(dataset) == type(dataset).__name__
    assert describe_data(len) == "builtin_function_or_method"


def test_every_description_survives_json():
    value = {"x": (np.ones((2, 2)), 3, None), "w": np.float32(2), "l": [0.5]}
    told = describe_data(value)
    assert json.loads(json.dumps(told)) == told


def test_each_kind_of_range_is_distinguished():
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 4, 8)
    hp.Int("wide", 4, 8, step=2)
    hp.Float("rate", 1e-4, 1e-2, sampling="log")
    hp.Choice("kind", ["a", "b"])
    hp.Boolean("deep")
    hp.Fixed("seed", 7)
    told = describe_space(hp)
    assert list(told) == ["units", "wide", "rate", "kind", "deep", "seed"]
    assert told["units"].startswith("4 to 8")
    assert told["wide"].startswith("4 to 8") and "step 2" in told["wide"]
    assert told["rate"] == "0.0001 to 0.01, log"
    assert told["kind"] == "one of ['a', 'b']"
    assert told["deep"] == "true or false"
    assert told["seed"] == "7"


def test_conditions_are_part_of_a_range():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Float("size", 1.0, 2.0)
    told = describe_space(hp)
    assert told["size"] == "1.0 to 2.0 if kind in ['a']"


def test_a_name_under_two_conditions_has_both_ranges():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Float("size", 1.0, 2.0)
    with hp.conditional_scope("kind", ["b"]):
        hp.Float("size", 3.0, 4.0)
    told = describe_space(hp)["size"]
    assert "1.0 to 2.0 if kind in ['a']" in told
    assert "3.0 to 4.0 if kind in ['b']" in told
