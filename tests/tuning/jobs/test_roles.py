import pytest

from bptt_keras.tuning.jobs.roles import ADDRESS, NAME, PORT, SECRET, Role


def role(monkeypatch, address=None, port=None, name=None, secret=None, given=None):
    values = {ADDRESS: address, PORT: port, NAME: name, SECRET: secret}
    for variable, value in values.items():
        if value is not None:
            monkeypatch.setenv(variable, value)
    return Role.of_this_process(given)


def test_without_variables_a_process_is_alone(monkeypatch):
    assert role(monkeypatch) == Role("alone", "tuner0")


def test_a_name_alone_does_not_make_a_cluster(monkeypatch):
    assert role(monkeypatch, name="mine") == Role("alone", "mine")


def test_the_one_named_chief_is_the_chief(monkeypatch):
    made = role(monkeypatch, "127.0.0.1", "8000", "chief")
    assert made == Role("chief", "chief", "127.0.0.1", 8000)


@pytest.mark.parametrize("name", ["worker-0", "chief-2", "Chief", "my chief"])
def test_every_other_name_is_a_worker(monkeypatch, name):
    made = role(monkeypatch, "10.0.0.1", "8000", name)
    assert (made.kind, made.name) == ("worker", name)


@pytest.mark.parametrize(
    ("port", "name", "missing"),
    [(None, "a", PORT), ("80", None, NAME), (None, None, f"{PORT} and {NAME}")],
)
def test_a_missing_variable_is_named(monkeypatch, port, name, missing):
    with pytest.raises(ValueError, match=f"{missing} must be set"):
        role(monkeypatch, "127.0.0.1", port, name)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "80.5", "²"])
def test_an_invalid_port_is_refused(monkeypatch, port):
    with pytest.raises(ValueError, match=f"{PORT} must be a port"):
        role(monkeypatch, "127.0.0.1", port, "a")


def test_a_chief_that_others_can_reach_needs_a_secret(monkeypatch):
    with pytest.raises(ValueError, match=SECRET):
        role(monkeypatch, "0.0.0.0", "8000", "chief")
    made = role(monkeypatch, "0.0.0.0", "8000", "chief", given="s")
    assert made.secret == "s"


def test_the_argument_takes_precedence_over_the_variable(monkeypatch):
    assert role(monkeypatch, secret="environment").secret == "environment"
    assert role(monkeypatch, given="argument").secret == "argument"


def test_an_empty_secret_counts_as_none(monkeypatch):
    assert role(monkeypatch, secret="").secret is None
