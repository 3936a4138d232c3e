import dataclasses
import hashlib
import json

import h5py
import keras
import numpy as np
import pytest

import zoo
from zoo.models import weights_file
from zoo.store.check import check_preset, read_known_metadata
from zoo.store.preset import check_preset_possible
from zoo.system.errors import UserError
from zoo.tasks import TASKS
from zoo.tasks.char_lm import Recipe, build_model


@pytest.fixture
def folder(tmp_path, untrained):
    """An untrained preset on disk."""
    zoo.save_to_preset(tmp_path / "preset", untrained)
    return tmp_path / "preset"


def logits(preset):
    return preset.model(preset.vocabulary.encode("to be")[None])


def rewrite(folder, name, change):
    content = json.loads((folder / name).read_text("utf-8"))
    change(content)
    (folder / name).write_text(json.dumps(content), "utf-8")


def with_right_checksum(folder):
    content = (folder / "model.weights.h5").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    rewrite(folder, "metadata.json", lambda m: m.update(weights_sha256=sha256))


def test_folder_holds_four_files(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
    ]


@pytest.mark.parametrize("place", [".", ".."])
def test_loaded_preset_gives_the_same_logits(folder, untrained, place):
    loaded = zoo.from_preset(folder / place)
    np.testing.assert_array_equal(logits(loaded), logits(untrained))
    assert loaded.vocabulary.characters == untrained.vocabulary.characters
    assert loaded.metadata.items() >= untrained.metadata.items()


def test_saving_replaces_an_older_preset(folder, untrained):
    for weight in untrained.model.weights:
        weight.assign(weight + 1.0)
    zoo.save_to_preset(folder, untrained)
    np.testing.assert_array_equal(logits(zoo.from_preset(folder)), logits(untrained))
    assert [path.name for path in folder.parent.iterdir()] == ["preset"]


def test_saving_that_fails_leaves_the_older_preset(folder, untrained):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(KeyError):
        zoo.save_to_preset(
            folder, zoo.Preset(untrained.model, untrained.processing, {})
        )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_card_holds_result_baselines_and_data(folder, untrained):
    card = (folder / "README.md").read_text("utf-8")
    for text in (
        "# char-lm on a text",
        "| this model | 1.5000 | 2.1640 |",
        "| a paper | 1.4000 |",
        "| bigram | 2.0000 |",
        untrained.metadata["data"]["sha256"],
        "python 3.11.0, keras 3.12.0",
    ):
        assert text in card


@pytest.mark.parametrize("name", ["metadata.json", "model.weights.h5"])
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        zoo.from_preset(folder)


def test_folder_without_a_preset_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="There is no preset"):
            zoo.from_preset(path)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"null"])
@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
def test_invalid_json_counts_as_damage(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is damaged"):
        zoo.from_preset(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("model"),
        lambda c: c.pop("processing"),
        lambda c: c["processing"].update(vocabulary="ba"),
        lambda c: c["processing"].update(vocabulary="ab"),
        lambda c: c["model"]["layers"][-1]["config"].update(units=7),
        lambda c: c["model"]["layers"][-1].update(class_name="Lambda"),
    ],
)
def test_a_config_that_fits_no_model_counts_as_damage(folder, change):
    rewrite(folder, "config.json", change)
    with pytest.raises(UserError, match="config.json is damaged"):
        zoo.from_preset(folder)


def test_other_format_is_refused(folder):
    rewrite(folder, "config.json", lambda c: c.update(format=3))
    with pytest.raises(UserError, match="has format 3; this version reads format 2"):
        zoo.from_preset(folder)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-100], lambda b: b[:-1] + b"\0", bytes]
)
def test_weights_that_were_changed_are_refused(folder, damage):
    path = folder / "model.weights.h5"
    content = damage(path.read_bytes())
    path.write_bytes(content if content != path.read_bytes() else content + b" ")
    with pytest.raises(UserError, match="its checksum is not that of metadata.json"):
        zoo.from_preset(folder)


def test_file_that_is_not_hdf5_is_refused(folder):
    (folder / "model.weights.h5").write_bytes(b"no weights")
    with_right_checksum(folder)
    with pytest.raises(UserError, match="does not hold this model's weights"):
        zoo.from_preset(folder)


def test_weights_of_another_shape_are_refused(folder):
    rewrite(
        folder,
        "config.json",
        lambda c: c["model"]["layers"][2]["config"].update(units=13),
    )
    with pytest.raises(UserError, match="does not hold this model's weights"):
        zoo.from_preset(folder)


def test_file_that_claims_terabytes_is_refused_unread(folder):
    with h5py.File(folder / "model.weights.h5", "a") as file:
        file.create_dataset("bomb", shape=(10**12,), dtype="float32", chunks=(1024,))
    with_right_checksum(folder)
    with pytest.raises(UserError, match="bomb. has 1,000,000,000,000 values"):
        zoo.from_preset(folder)


def test_file_that_refers_to_another_file_is_refused(folder, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(400))
    with h5py.File(folder / "model.weights.h5", "a") as file:
        file.create_dataset(
            "part", (1,), "float32", external=[(str(tmp_path / "secret"), 0, 4)]
        )
    with_right_checksum(folder)
    with pytest.raises(UserError, match="refers to other files"):
        zoo.from_preset(folder)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda m: m.pop("task"), "'task' is missing"),
        (lambda m: m.update(task="new"), "no task 'new' here"),
        (lambda m: m.update(task=["char-lm"]), "no task .* here"),
        (lambda m: m.pop("metric"), "'metric' is missing"),
        (lambda m: m["metric"].update(value="1.5"), "metric: value"),
        (lambda m: m["metric"].update(unit=None), "metric: unit"),
        (lambda m: m["metric"].update(part="all"), "metric: part"),
        (lambda m: m["metric"].update(value=10**400), "metric: value"),
        (lambda m: m.update(seeds={"\x1b[2J": 1.0}), "a control character"),
        (lambda m: m["recipe"].update(units=2.5), "units is not int"),
        (lambda m: m["recipe"].update(window="all"), r"window is not int \| None"),
        (lambda m: m.update(data=[]), "data is not what it must be"),
        (lambda m: m["recipe"].update(units=-1), "`units` must be at least 1"),
        (lambda m: m.update(recipe=[1]), "no recipe of char-lm"),
        (lambda m: m.update(references={"who": "1"}), "references"),
        (lambda m: m.update(parameters="many"), "parameters"),
        (lambda m: m.pop("versions"), "'versions' is missing"),
    ],
)
def test_metadata_that_commands_cannot_work_with_are_refused(folder, change, words):
    rewrite(folder, "metadata.json", change)
    for read in (zoo.from_preset, read_known_metadata):
        with pytest.raises(UserError, match=f"metadata.json is damaged: .*{words}"):
            read(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.__setitem__("x", h5py.ExternalLink("/nowhere", "/x")),
        lambda file: file.__setitem__("x", h5py.SoftLink("/layers")),
        lambda file: file.create_dataset("x", (2,), "S200000000"),
    ],
)
def test_weights_that_are_links_or_not_numbers_are_refused(folder, change):
    with h5py.File(folder / "model.weights.h5", "a") as file:
        change(file)
    with_right_checksum(folder)
    with pytest.raises(UserError, match="is a link|holds no numbers"):
        zoo.from_preset(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(folder, value):
    with h5py.File(folder / "model.weights.h5", "a") as file:
        file["layers/dense/vars/1"][0] = value
    with_right_checksum(folder)
    with pytest.raises(UserError, match="its weights are not finite"):
        zoo.from_preset(folder)


def test_half_precision_and_packing_are_read(folder, untrained):
    zoo.save_to_preset(folder, untrained, half=True)
    np.testing.assert_allclose(
        logits(zoo.from_preset(folder)), logits(untrained), atol=1e-2
    )


def test_the_same_weights_are_checked_once(folder, monkeypatch):
    seen = []
    monkeypatch.setattr(weights_file, "_good", set())
    check = weights_file._check
    monkeypatch.setattr(weights_file, "_check", lambda *a: seen.append(check(*a)))
    for _ in range(3):
        check_preset(folder)
    assert len(seen) == 1


def facts_of(preset, **changes):
    return {"task": "char-lm", **preset.metadata, **changes}


def test_a_model_that_a_preset_can_hold_is_trained(untrained):
    check_preset_possible(untrained.model, untrained.processing, facts_of(untrained))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"data": {"name": "a" * 5_000_000}}, "metadata.json would have 5,0"),
        ({"data": {"name": "bell\a"}}, "has a control character"),
        ({"baselines": {"bigram": float("nan")}}, "baselines"),
    ],
)
def test_training_that_no_preset_could_describe_is_refused(untrained, facts, words):
    with pytest.raises(UserError, match=f"cannot be kept as a preset: .*{words}"):
        check_preset_possible(
            untrained.model, untrained.processing, facts_of(untrained, **facts)
        )


def test_a_model_that_no_preset_can_hold_is_not_trained(untrained):
    model = keras.Sequential(
        [keras.Input((None, 2)), keras.layers.LayerNormalization()]
    )
    with pytest.raises(UserError, match="cannot be kept as a preset: .*Normalization"):
        check_preset_possible(model, {}, facts_of(untrained))


def test_many_characters_and_many_columns_can_be_kept(untrained, tmp_path):
    characters = list(map(chr, range(0x4E00, 0x4E00 + 20_000)))
    model = build_model(len(characters) + 1, Recipe(embedding=4, units=12))
    preset = zoo.Preset(model, {"vocabulary": "".join(characters)}, untrained.metadata)
    check_preset_possible(model, preset.processing, facts_of(untrained))
    zoo.save_to_preset(tmp_path / "preset", preset)
    assert zoo.from_preset(tmp_path / "preset").vocabulary.size == 20_001


def test_a_table_of_3000_columns_can_be_kept(forecaster, tmp_path):
    preset, data = forecaster()
    names = tuple(f"column {i}" for i in range(3_000))
    wide = dataclasses.replace(
        data, columns=names, values=np.ones((60, 3_000)), targets=tuple(range(3_000))
    )
    task = TASKS["forecasting"]
    recipe = task.recipe_from(preset.metadata["recipe"])
    model = task.build_model(wide, recipe)
    facts = {**preset.metadata, "data": wide.describe()}
    kept = zoo.Preset(model, task.processing(wide, recipe), facts)
    check_preset_possible(model, kept.processing, facts)
    zoo.save_to_preset(tmp_path / "preset", kept)
    assert zoo.from_preset(tmp_path / "preset").processing == kept.processing
