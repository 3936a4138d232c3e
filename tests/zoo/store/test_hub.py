import contextlib
import dataclasses
import json
import socket

import numpy as np
import pytest

import zoo
from tests.zoo.faulty_server import FaultyServer
from zoo.store import hub, index
from zoo.store.index import list_presets
from zoo.store.manifest import FILES, sha256_of
from zoo.system import download
from zoo.system.errors import UserError, ZooError


@pytest.fixture
def release(server, untrained, tmp_path, impatient, monkeypatch):
    """A release with one preset, `small`, on the server; no presets of our own."""
    monkeypatch.setattr(index, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(hub, "SHIPPED", tmp_path / "shipped")
    untrained.metadata["seed"] = 0
    zoo.save_to_preset(tmp_path / "small", untrained)
    zoo.publish(server.folder, [tmp_path / "small"])
    return server


@pytest.fixture
def known(release, tmp_path):
    """The same, with an index of our own that lists `small`."""
    content = (release.folder / "index.json").read_text("utf-8")
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "index.json").write_text(content, "utf-8")
    return release


@pytest.fixture
def no_sockets(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def same(folder, release):
    return all(
        (folder / name).read_bytes() == (release.folder / "small" / name).read_bytes()
        for name in FILES
    )


def checksum(release):
    return sha256_of(release.folder / "small" / "manifest.json")


def test_a_preset_comes_from_an_address(release, untrained):
    preset = zoo.from_preset(f"{release.url}/small")
    ids = untrained.vocabulary.encode("to be")[None]
    np.testing.assert_array_equal(preset.model(ids), untrained.model(ids))


def test_a_checked_preset_is_not_downloaded_again(release):
    for _ in range(2):
        assert same(hub.locate(f"{release.url}/small"), release)
    paths = release.paths()
    assert paths.count("/small/manifest.json") == 2  # it may have changed
    assert all(paths.count(f"/small/{name}") == 1 for name in FILES)


def test_a_new_version_at_an_address_is_fetched(release, untrained, tmp_path):
    first = hub.locate(f"{release.url}/small")
    untrained.metadata["metric"]["value"] = 1.25
    zoo.save_to_preset(tmp_path / "small", untrained)
    zoo.publish(release.folder, [tmp_path / "small"])
    second = hub.locate(f"{release.url}/small")
    assert first != second and same(second, release)


def test_a_known_name_needs_no_index_and_the_cache_no_server(known):
    folder = hub.locate("small", mirrors=[known.url])
    assert same(folder, known)
    assert "/index.json" not in known.paths()
    requests = len(known.requests)
    assert hub.locate("small") == hub.locate("small", mirrors=[known.url]) == folder
    assert len(known.requests) == requests


def test_a_name_without_a_server_is_refused(known):
    with pytest.raises(UserError, match="no server is known.*BPTT_ZOO_MIRRORS"):
        hub.locate("small")


def test_mirrors_of_the_environment_serve_names(known, monkeypatch):
    monkeypatch.setenv("BPTT_ZOO_MIRRORS", f"{known.url}/nowhere {known.url}")
    assert same(hub.locate("small"), known)
    assert "/nowhere/small/manifest.json" in known.paths()


def test_a_name_is_looked_up_in_the_index_of_a_mirror(release):
    with pytest.raises(UserError, match="There is no preset"):
        hub.locate("small")
    assert same(hub.locate("small", mirrors=[release.url]), release)
    with pytest.raises(UserError, match="There is no preset"):
        hub.locate("large", mirrors=[release.url])


@pytest.mark.parametrize(
    "name",
    [FILES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in FILES[1:])],
)
@pytest.mark.parametrize("fault", ["truncate", "wrong", 500, 404])
def test_a_second_mirror_makes_up_for_a_bad_first_one(known, fault, name):
    known.faults[f"/small/{name}"] = [fault] * 3 if fault == 500 else [fault]
    assert same(hub.locate("small", mirrors=[known.url, known.url]), known)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.quick(2)
def test_files_with_other_bytes_are_never_used(known, name):
    good = (known.folder / "small" / name).read_bytes()
    (known.folder / "small" / name).write_bytes(b"{" + good[1:-1] + b" ")
    with pytest.raises(ZooError, match="is not the .* that was published"):
        zoo.from_preset("small", mirrors=[known.url])
    cached = (
        hub.cache_folder()
        / "presets"
        / index.own_index().presets["small"].manifest_sha256
    )
    assert not (cached / name).exists()
    (known.folder / "small" / name).write_bytes(good)
    assert same(hub.locate("small", mirrors=[known.url]), known)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.quick(2)
def test_a_file_that_went_bad_in_the_cache_is_replaced(known, name, monkeypatch):
    folder = hub.locate("small", mirrors=[known.url])
    (folder / name).write_bytes(b"rotten")
    monkeypatch.setenv("BPTT_ZOO_OFFLINE", "1")
    with pytest.raises(ZooError, match="BPTT_ZOO_OFFLINE is set"):
        hub.locate("small", mirrors=[known.url])
    assert not (folder / name).exists()
    monkeypatch.delenv("BPTT_ZOO_OFFLINE")
    assert same(hub.locate("small", mirrors=[known.url]), known)


def test_offline_the_cache_serves_and_no_socket_is_opened(
    known, monkeypatch, no_sockets
):
    monkeypatch.setenv("BPTT_ZOO_OFFLINE", "1")
    for source, mirrors in (("small", [known.url]), (f"{known.url}/small", [])):
        with pytest.raises(ZooError, match="BPTT_ZOO_OFFLINE is set"):
            hub.locate(source, mirrors=mirrors)
    monkeypatch.undo()


def test_offline_an_address_serves_what_it_had_last(release, monkeypatch):
    folder = hub.locate(f"{release.url}/small")
    monkeypatch.setenv("BPTT_ZOO_OFFLINE", "1")
    requests = len(release.requests)
    assert hub.locate(f"{release.url}/small") == folder
    assert len(release.requests) == requests


def test_a_given_checksum_must_match(known):
    right, wrong = checksum(known), "0" * 64
    assert same(hub.locate(f"{known.url}/small", sha256=right), known)
    assert same(hub.locate(known.folder / "small", sha256=right), known)
    for source in (f"{known.url}/small", known.folder / "small", "small"):
        with pytest.raises(ZooError, match="checksum|expected sha256"):
            hub.locate(source, sha256=wrong)
    with pytest.raises(UserError, match="64 hexadecimal digits"):
        hub.locate("small", sha256="12")


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda m: m["files"].update({"../x": {"size": 1, "sha256": "0" * 64}}), "x"),
        (lambda m: m["files"].pop("config.json"), "files"),
        (lambda m: m["files"]["config.json"].update(size=10**12), "at most"),
        (lambda m: m["files"]["config.json"].update(size=-1), "at most"),
        (lambda m: m["files"]["config.json"].update(sha256="?"), "no sha256"),
        (lambda m: m.update(format=9), "format 9"),
        (lambda m: m.update(files=[]), "files"),
        (lambda m: m.update(files=list(FILES)), "list"),
    ],
)
def test_a_manifest_that_asks_for_anything_else_is_refused(release, change, reason):
    path = release.folder / "small" / "manifest.json"
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ZooError, match=f"is no manifest of a preset.*{reason}"):
        hub.locate(f"{release.url}/small")
    assert release.paths() == ["/small/manifest.json"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 10_000])
def test_an_invalid_index_is_refused(release, content):
    (release.folder / "index.json").write_bytes(content)
    with pytest.raises(ZooError, match="is no index of presets"):
        hub.index_at(release.url)


def test_an_index_of_many_mirrors_is_refused(release):
    path = release.folder / "index.json"
    content = json.loads(path.read_text("utf-8"))
    content["mirrors"] = ["https://nowhere.example"] * 10_000
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ZooError, match="10,000 mirrors, above 16"):
        hub.index_at(release.url)


@pytest.mark.parametrize("name", ["../small", "x" * 65, "con", "nul.x", ""])
def test_an_index_may_name_only_folders(release, name):
    path = release.folder / "index.json"
    path.write_text(path.read_text("utf-8").replace('"small"', f'"{name}"'), "utf-8")
    with pytest.raises(ZooError, match="is no index of presets"):
        hub.index_at(release.url)


@pytest.mark.parametrize(
    "change",
    [
        {"value": 10**400},
        {"value": float("nan")},
        {"size": 10**400},
        {"size": -1},
        {"parameters": 1.5},
        {"parameters": True},
        {"task": "\x1b[2J"},
        {"manifest_sha256": "0"},
    ],
)
def test_an_index_of_impossible_values_is_refused(release, change):
    path = release.folder / "index.json"
    content = json.loads(path.read_text("utf-8"))
    content["presets"]["small"].update(change)
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ZooError, match="is no index of presets"):
        hub.index_at(release.url)


def test_a_name_that_a_server_lacks_is_reported_with_the_server(release):
    with pytest.raises(UserError, match=f"no preset other at {release.url}"):
        hub.locate("other", mirrors=[release.url])


def test_another_preset_with_a_shipped_name_is_not_the_shipped_one():
    own = list_presets()[0]
    assert own.shipped
    assert not dataclasses.replace(own, manifest_sha256="0" * 64).shipped


@pytest.mark.parametrize(
    "source, reason",
    [
        ("ftp://host/small", "must begin with https"),
        ("file:///small", "must begin with https"),
        ("https:///small", "must begin with https"),
        ("https://host/small?x=1", "without"),
        ("https://[host/small", "no address"),
        ("http://host.example/small", "not protected"),
        ("hf://small", "hf://OWNER/REPOSITORY"),
        ("hf:///small/", "hf://OWNER/REPOSITORY"),
    ],
)
def test_an_invalid_address_is_refused(source, reason, no_sockets):
    with pytest.raises(UserError, match=reason):
        hub.locate(source)


@pytest.mark.parametrize("suffix", ["", "@main", "@v2"])
@pytest.mark.quick(1)
def test_the_hugging_face_hub_serves_folders(release, monkeypatch, suffix):
    monkeypatch.setenv("HF_ENDPOINT", release.url)
    revision = suffix[1:] or "main"
    place = release.folder / "owner" / "models" / "resolve" / revision
    place.parent.mkdir(parents=True)
    place.symlink_to(release.folder)
    # The hub sends large files from elsewhere.
    path = f"/owner/models/resolve/{revision}/small/model.weights.h5"
    release.faults[path] = [(302, f"{release.url}/small/model.weights.h5")]
    assert same(hub.locate(f"hf://owner/models/small{suffix}"), release)


def test_a_broken_transfer_of_a_preset_is_resumed(known):
    weights = "/small/model.weights.h5"
    known.faults[weights] = ["truncate", "truncate", 404]
    with pytest.raises(ZooError, match="model.weights.h5 cannot be downloaded"):
        hub.locate("small", mirrors=[known.url])
    assert same(hub.locate("small", mirrors=[known.url]), known)
    asked = [place for path, place in known.requests if path == weights]
    assert asked[0] is None and asked[-1] == asked[-2] and asked[-1] > asked[1]


def test_a_server_that_is_gone_is_named(known, tmp_path):
    gone = FaultyServer(tmp_path)
    gone.close()
    with pytest.raises(ZooError, match=f"{gone.url}/small/manifest.json cannot be"):
        hub.locate("small", mirrors=[gone.url])
    assert same(hub.locate("small", mirrors=[gone.url, known.url]), known)


def test_mirrors_are_tried_in_order_for_a_foreign_name_too(release):
    (release.folder / "bare").mkdir()
    content = (release.folder / "index.json").read_bytes()
    (release.folder / "bare" / "index.json").write_bytes(content)
    for first in ("nowhere", "bare"):
        mirrors = [f"{release.url}/{first}", release.url]
        assert same(hub.locate("small", mirrors=mirrors), release)
    with pytest.raises(ZooError, match="nowhere/index.json cannot be downloaded"):
        hub.locate("small", mirrors=[f"{release.url}/nowhere"])


def test_a_folder_needs_no_mirror_and_takes_none(release, monkeypatch, tmp_path):
    monkeypatch.setenv("BPTT_ZOO_MIRRORS", f"{release.url}/nowhere")
    monkeypatch.chdir(tmp_path)
    assert hub.locate("small").samefile(tmp_path / "small")
    assert hub.locate("./small").samefile(tmp_path / "small")
    assert release.requests == []
    with pytest.raises(UserError, match="A mirror goes with a name"):
        hub.locate("./small", mirrors=[release.url])


def test_an_invalid_index_does_not_replace_a_good_one(release, monkeypatch):
    hub.index_at(release.url)
    (release.folder / "index.json").write_text("<html>Log in</html>")
    with pytest.raises(ZooError, match="is no index"):
        hub.index_at(release.url)
    monkeypatch.setenv("BPTT_ZOO_OFFLINE", "1")
    assert "small" in hub.index_at(release.url).presets


def test_a_damaged_package_says_so(known, tmp_path):
    (tmp_path / "shipped" / "small").symlink_to(known.folder / "small")
    assert same(hub.locate("small"), known)
    (known.folder / "small" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="came with the package is damaged"):
        hub.locate("small")


@pytest.mark.parametrize("preset", zoo.list_presets(), ids=lambda p: p.name)
def test_presets_of_the_package_are_what_its_index_says(preset):
    loaded = zoo.from_preset(preset.name)
    metric = loaded.metadata["metric"]
    assert (metric["value"], metric["part"]) == (preset.value, preset.part)
    assert loaded.model.count_params() == preset.parameters
    # In the repository; what is above 3 MB is left out of the wheel.
    assert preset.shipped and preset.size <= 10e6


def test_a_cached_preset_is_used_when_its_server_is_down(release, capsys):
    folder = hub.locate(f"{release.url}/small")
    presets = hub.index_at(release.url).presets
    release.close()
    assert hub.locate(f"{release.url}/small") == folder
    assert hub.index_at(release.url).presets == presets
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and all("Used is what it had on 2" in line for line in told)


@pytest.mark.parametrize("fault", [500, "truncate"])
def test_a_server_with_an_internal_error_counts_as_down(release, fault, capsys):
    folder = hub.locate(f"{release.url}/small")
    release.faults["/small/manifest.json"] = [fault] * 3
    assert hub.locate(f"{release.url}/small") == folder
    assert "cannot be downloaded" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [404, 403])
def test_a_preset_that_its_server_refuses_is_not_used(release, fault):
    hub.locate(f"{release.url}/small")
    release.faults["/small/manifest.json"] = [fault]
    with pytest.raises(ZooError, match=f"cannot be downloaded .{fault}"):
        hub.locate(f"{release.url}/small")


def test_a_cache_that_cannot_be_written_to_serves_what_it_has(release, monkeypatch):
    folder = hub.locate(f"{release.url}/small")
    cache = hub.cache_folder()

    def refuse(lock, doing):
        if cache in lock.parents:
            raise PermissionError(13, "Permission denied", str(lock))
        return contextlib.nullcontext()

    monkeypatch.setattr(download, "one_at_a_time", refuse)
    assert hub.locate(f"{release.url}/small") == folder
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match="cannot be used .Permission denied"):
        hub.locate(f"{release.url}/small")


def test_a_cache_that_is_a_file_is_reported(release, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("BPTT_ZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="BPTT_ZOO_CACHE"):
        hub.locate(f"{release.url}/small")


def test_an_index_of_endless_mirrors_is_refused(release):
    path = release.folder / "index.json"
    content = json.loads(path.read_text("utf-8"))
    content["mirrors"] = [f"https://mirror{i}.invalid" for i in range(10_000)]
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ZooError, match="10,000 mirrors, above 16"):
        hub.index_at(release.url)


@pytest.mark.parametrize(
    "name, meant", [("smal", "small"), ("runs/mnie", "runs/mine"), ("Small", "small")]
)
def test_a_misspelled_name_gets_a_suggestion(known, name, meant, monkeypatch, tmp_path):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mnie-notes").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").rename(tmp_path / "runs" / "mine" / "preset")
    with pytest.raises(UserError, match=rf"Did you mean {meant}\?"):
        hub.locate(name)


def test_a_mirror_is_searched_for_a_suggestion(release):
    with pytest.raises(UserError, match=r"Did you mean small\?"):
        hub.locate("smalll", mirrors=[release.url])
