"""Names that every format takes."""

from bptt_keras.exporting.ports import Names, paths


def test_names_hold_letters_digits_and_underscores_once():
    names = Names()
    wanted = ["a/b:0", "a.b 0", "é", "3d", "", "a_b_0"]
    assert [names.unique(name) for name in wanted] == [
        "a_b_0",
        "a_b_0_1",
        "x",
        "x_3d",
        "x_1",
        "a_b_0_2",
    ]


def test_paths_are_in_the_order_of_tensorflow():
    import tensorflow as tf

    tree = {"b": [1, {"z": 2, "y": 3}], "a": 4}
    assert tf.nest.flatten(tree) == [4, 1, 3, 2]
    assert paths(tree, "x") == ["a", "b_0", "b_1_y", "b_1_z"]
    assert paths(7, "x") == ["x"]
    assert paths((7, [8]), "x") == ["x_0", "x_1_0"]
