import json
import shutil

import h5py
import numpy as np
import pytest

import zoo
from zoo.store.manifest import FILES
from zoo.system.errors import UserError


@pytest.fixture
def runs(tmp_path, untrained):
    """Three runs that differ by their seeds; the second validates best."""
    folders = []
    for seed, value in enumerate([1.5, 1.25, 1.75]):
        untrained.metadata["metric"]["value"] = value
        untrained.metadata["seed"] = untrained.metadata["recipe"]["seed"] = seed
        folders.append(tmp_path / f"run-{seed}")
        folders[-1].mkdir()
        zoo.save_to_preset(folders[-1] / "preset", untrained)
    return folders


def rewrite(path, change):
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def test_the_run_that_validates_best_is_exported(runs, tmp_path):
    metadata = zoo.export_preset(runs, tmp_path / "new" / "best")
    assert metadata["seed"] == 1
    assert metadata["seeds"] == {"0": 1.5, "1": 1.25, "2": 1.75}
    card = (tmp_path / "new" / "best" / "README.md").read_text("utf-8")
    assert "- **Seeds:** 0: 1.5000, 1: 1.2500, 2: 1.7500." in card
    written = zoo.from_preset(tmp_path / "new" / "best").metadata
    assert written["seeds"] == metadata["seeds"]
    again = zoo.export_preset([tmp_path / "new" / "best"], tmp_path / "again")
    assert again["seeds"] == metadata["seeds"] and again["seed"] == 1


def test_validation_and_not_the_test_set_chooses(runs, tmp_path):
    metadata = runs[0] / "preset" / "metadata.json"
    rewrite(metadata, lambda m: m["metric"].update(part="test", validation=1.0))
    assert zoo.export_preset(runs, tmp_path / "best")["seed"] == 0


def test_trainings_of_several_recipes_are_refused(runs, tmp_path):
    rewrite(runs[2] / "preset" / "metadata.json", lambda m: m["recipe"].update(units=9))
    with pytest.raises(UserError, match="differ by nothing but their seeds"):
        zoo.export_preset(runs, tmp_path / "best")
    with pytest.raises(UserError, match="same seed, 0"):
        zoo.export_preset([runs[0], runs[0]], tmp_path / "best")
    with pytest.raises(UserError, match="At least one run"):
        zoo.export_preset([], tmp_path / "best")
    assert not (tmp_path / "best").exists()


def test_half_precision_takes_half_the_space_and_computes_the_same(untrained, tmp_path):
    zoo.save_to_preset(tmp_path / "single", untrained)
    zoo.save_to_preset(tmp_path / "half", untrained, half=True)

    def floats(name):
        found = []
        with h5py.File(tmp_path / name / "model.weights.h5") as file:
            file.visititems(
                lambda _, item: (
                    found.append(item.dtype)
                    if isinstance(item, h5py.Dataset) and item.dtype.kind == "f"
                    else None
                )
            )
        return set(found)

    assert floats("single") == {np.dtype("float32")}
    assert floats("half") == {np.dtype("float16")}
    loaded = zoo.from_preset(tmp_path / "half")
    assert {w.dtype for w in loaded.model.weights} == {"float32"}
    for weight, other in zip(
        loaded.model.weights, untrained.model.weights, strict=True
    ):
        np.testing.assert_allclose(weight, other, rtol=2**-11, atol=1e-7)


@pytest.mark.parametrize("value", [70_000.0, np.nan, np.inf])
def test_values_that_half_precision_cannot_hold_are_refused(untrained, tmp_path, value):
    kernel = untrained.model.layers[-1].kernel
    kernel.assign(np.full(kernel.shape, value))
    with pytest.raises(UserError, match="Half precision cannot hold"):
        zoo.save_to_preset(tmp_path / "half", untrained, half=True)
    assert not (tmp_path / "half").exists()


def test_a_release_is_extended_and_keeps_its_mirrors(runs, tmp_path):
    release = tmp_path / "release"
    zoo.export_preset(runs[:1], tmp_path / "one")
    first = zoo.publish(release, [tmp_path / "one"], mirrors=["https://a", "https://b"])
    second = zoo.publish(release, [runs[1]])
    assert set(first.presets) == {"one"} and set(second.presets) == {"one", "run-1"}
    assert second.presets["one"] == first.presets["one"]
    assert second.mirrors == ("https://a", "https://b")
    files = {path.name for path in (release / "run-1").iterdir()}
    assert files == {*FILES, "manifest.json"}
    assert not second.presets["one"].shipped


def test_names_are_unique_and_leftovers_do_not_matter(runs, tmp_path):
    release = tmp_path / "release"
    zoo.publish(release, [runs[0]])
    shutil.copytree(release / "run-0", release / ".new.run-0")
    assert set(zoo.publish(release).presets) == {"run-0"}
    (tmp_path / "b").mkdir()
    shutil.copytree(runs[0], tmp_path / "b" / "run-0")
    with pytest.raises(UserError, match="have the same name, run-0"):
        zoo.publish(release, [runs[0], tmp_path / "b" / "run-0"])


def test_a_release_without_names_has_the_presets_of_the_package(tmp_path):
    index = zoo.publish(tmp_path / "release")
    listed = {preset.name: preset for preset in zoo.list_presets()}
    assert index.presets == listed and listed


def test_damaged_presets_and_bad_names_are_not_published(runs, tmp_path):
    release = tmp_path / "release"
    bad = runs[0].rename(tmp_path / "Bad Name")
    with pytest.raises(UserError, match="small letters and digits"):
        zoo.publish(release, [runs[1], bad])
    (runs[2] / "preset" / "model.weights.h5").write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        zoo.publish(release, [runs[1], runs[2]])
    rewrite(runs[1] / "preset" / "metadata.json", lambda m: m.pop("metric"))
    with pytest.raises(UserError, match="'metric' is missing"):
        zoo.publish(release, [runs[1]])
    assert not release.exists()


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_file_that_is_a_link_is_not_published(runs, tmp_path, name):
    secret = tmp_path / "secret"
    path = runs[0] / "preset" / name
    if path.exists():
        path.rename(secret)
    else:
        secret.write_text("a secret")
    path.symlink_to(secret)
    with pytest.raises(UserError, match=f"{name} is a link"):
        zoo.publish(tmp_path / "release", [runs[0]])
    assert not (tmp_path / "release" / runs[0].name).exists()


def test_a_release_has_few_mirrors(tmp_path):
    with pytest.raises(UserError, match="at most 16 mirrors. Received: 17"):
        zoo.publish(tmp_path / "release", mirrors=["https://a.example"] * 17)


def test_a_mirror_must_be_an_address(tmp_path):
    with pytest.raises(UserError, match="must begin with https"):
        zoo.publish(tmp_path, mirrors=["my server"])


def test_a_release_in_the_place_of_a_file_is_refused(runs, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=f"{folder} cannot be written"):
            zoo.publish(folder, [runs[0]])
