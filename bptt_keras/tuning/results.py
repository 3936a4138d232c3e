"""The results of a job so far: lines while it runs, the best values on disk."""

from __future__ import annotations

import collections
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from bptt_keras.files import write_whole

Row = dict[str, Any]
"""A trial in a table; `Results.rows` says what it holds."""


class TuningError(RuntimeError):
    """A job ended without a result, or cannot be run now.

    Example:
        import keras, keras_tuner, bptt_keras as bk

        class Parabola(keras_tuner.HyperModel):
            def build(self, hp):
                hp.Int("x", -4, 4)
                return keras.Sequential()

            def fit(self, hp, model, **_):
                raise MemoryError("too large")

        objective = keras_tuner.Objective("square", "min")
        tuner = bk.tuning.RandomSearch(
            Parabola(), objective, max_trials=2, directory="runs", project_name="bad"
        )
        try:
            tuner.search(verbose=0)
        except bk.tuning.TuningError as error:
            assert "2 x MemoryError: too large" in str(error)
    """


class Results:
    """Follows a job: prints lines and keeps `best.json` up to date.

    Args:
        tuner: One of the tuners of `bptt_keras.tuning`.

    Attributes:
        FILE: Name of the file with the best values so far.

    Example:
        import json
        import keras, keras_tuner, bptt_keras as bk

        class Parabola(keras_tuner.HyperModel):
            def build(self, hp):
                hp.Int("x", -4, 4)
                return keras.Sequential()

            def fit(self, hp, model, **_):
                return float(hp.get("x") ** 2)

        objective = keras_tuner.Objective("square", "min")
        tuner = bk.tuning.RandomSearch(
            Parabola(), objective, max_trials=2, directory="runs", project_name="best"
        )
        tuner.search(verbose=0)
        best = json.loads((tuner.folder / tuner.results.FILE).read_text())
        assert best["value"] == tuner.results.best["value"]
    """

    FILE = "best.json"

    def __init__(self, tuner: Any):
        self._tuner = tuner
        self._told: dict[str, str] = {}
        self._best: Row | None = None
        self.verbose = True
        self.began_with = 0

    @property
    def _oracle(self) -> Any:
        return self._tuner.own_oracle

    def begin(self) -> None:
        """Prints the progress of a job that resumes."""
        self._told = {name: row["status"] for name, row in self._by_name().items()}
        self.began_with = sum(map(_ended, self.rows()))
        if self.verbose and self._told:
            print(f"The job goes on: {self.began_with} trials have ended.")
        self.write()

    def rows(self) -> list[Row]:
        """The trials for a table, in the order in which they began.

        Returns:
            List of dicts: `trial`, `status` ("waiting", "running", "completed",
            "failed", "pruned", or "cut" by the budget), `value` (the objective, or
            None), `seeds` (the objective of each execution), `values` (of the
            hyperparameters), `curve` (the objective after each epoch), `epoch` (the
            best one), `seconds`, `worker`, `cause`, `attempts`.
        """
        with self._oracle.looking():
            return self._rows()

    def _rows(self) -> list[Row]:
        oracle = self._oracle
        running = {trial.trial_id for trial in oracle.ongoing_trials.values()}
        found = []
        for name, trial in oracle.trials.items():
            facts = oracle.facts[name]
            status = _STATUS.get(trial.status, "waiting")
            if status == "waiting" and name in running:
                status = "running"
            elif status == "waiting" and facts["cut"]:
                status = "cut"
            best = _best_of(facts["curve"], self.higher)
            value = trial.score
            complete = not facts["seeds"] or self._tuner.executions_per_trial == 1
            if value is None and best is not None and status != "failed" and complete:
                value = facts["curve"][best]
            finite = value is not None and math.isfinite(value)
            known = trial.hyperparameters.values
            # In the order of the space, which is lost between chief and worker.
            names = dict.fromkeys(entry.name for entry in oracle.hyperparameters.space)
            values = {
                key: known[key]
                for key in [*names, *(key for key in known if key not in names)]
                if key in known and not key.startswith("tuner/")
            }
            found.append(
                {
                    "trial": name,
                    "status": status,
                    "value": value if finite and status != "failed" else None,
                    "seeds": list(facts["seeds"]),
                    "values": values,
                    "curve": list(facts["curve"]),
                    "epoch": None if best is None else best + 1,
                    "seconds": facts["seconds"],
                    "worker": facts["worker"],
                    "cause": facts["cause"] if status == "failed" else "",
                    "attempts": facts["attempts"],
                }
            )
        return found

    @property
    def higher(self) -> bool:
        """Whether a higher objective is better."""
        return self._oracle.objective.direction == "max"

    @property
    def best(self) -> Row | None:
        """The row of the best trial so far, or `None`."""
        return best_row(self.rows(), self.higher, self._tuner.executions_per_trial)

    def look(self) -> None:
        """Prints what has changed since the last look."""
        rows = self._by_name()
        changed = [
            r for r in rows.values() if self._told.get(r["trial"]) != r["status"]
        ]
        if not changed:
            return
        self.write()
        for row in changed:
            self._told[row["trial"]] = row["status"]
            if self.verbose and row["status"] != "waiting":
                print(self.line(row), flush=True)

    def line(self, row: Row) -> str:
        """One line about a trial that begins or ends."""
        oracle = self._oracle
        head = f"trial {row['trial']} {row['status']}"
        if row["status"] == "running":
            values = ", ".join(f"{k} {_short(v)}" for k, v in row["values"].items())
            return f"{head}: {values}" if values else head
        if row["status"] == "failed":
            return f"{head}: {row['cause']}"
        best = self.best
        text = f"{head}: {oracle.objective.name} {_short(row['value'])}"
        if best is not None:
            text += f" (best so far {_short(best['value'])}, trial {best['trial']})"
        if not math.isinf(oracle.seconds_left):
            text += f", {max(0.0, oracle.seconds_left) / 60:.1f} minutes left"
        return text

    def write(self) -> None:
        """Writes `best.json`, if there is a better trial than the one in it."""
        best = self.best
        if best is None or best == self._best:
            return
        self._best = best
        content = json.dumps(self._tuner.describe_best(best), indent=2)
        write_whole(self._tuner.folder / self.FILE, content + "\n")

    def conclude(self) -> None:
        """Prints how the job ended.

        Raises:
            TuningError: If no trial had a result.
        """
        rows, oracle = self.rows(), self._oracle
        if oracle.error is not None:
            raise TuningError(
                f"The search cannot go on: {oracle.error!r}"
            ) from oracle.error
        failed = [row for row in rows if row["status"] == "failed"]
        if rows and len(failed) == len(rows):
            raise TuningError(
                f"All {len(rows)} trials failed:\n{causes(failed)}\nThe error "
                f"of each is in {self._tuner.folder}/trial_*/error.txt."
            )
        if not self.verbose:
            return
        left = [row for row in rows if row["status"] in ("running", "waiting", "cut")]
        text = f"{sum(map(_ended, rows))} trials have ended"
        if failed:
            text += f", {len(failed)} of them failed"
        if not oracle.finished:
            text += (
                f"; the budget is used up, {len(left)} would go on with a larger one"
            )
        print(text + ".")

    def _by_name(self) -> dict[str, Row]:
        return {row["trial"]: row for row in self.rows()}


_STATUS = {"COMPLETED": "completed", "FAILED": "failed", "STOPPED": "pruned"}


def best_row(rows: Sequence[Row], higher: bool, executions: int = 1) -> Row | None:
    """The row with the best objective among comparable rows, or `None`."""
    whole = [
        row
        for row in rows
        if row["value"] is not None
        and (executions == 1 or row["status"] == "completed")
    ]
    if not whole:
        return None
    return (max if higher else min)(whole, key=lambda row: row["value"])


def causes(rows: Iterable[Row]) -> str:
    """A table of the causes of failed trials, the most frequent first."""
    counts = collections.Counter(row["cause"] for row in rows)
    return "\n".join(f"{count:5} x {cause}" for cause, count in counts.most_common())


def _ended(row: Row) -> bool:
    return row["status"] in ("completed", "failed", "pruned")


def _best_of(curve: Sequence[float], higher: bool) -> int | None:
    known = [(value, number) for number, value in enumerate(curve)]
    known = [pair for pair in known if math.isfinite(pair[0])]
    if not known:
        return None
    # The first if several are equal, as for the weights that are kept.
    best = (max if higher else min)(value for value, _ in known)
    return next(number for value, number in known if value == best)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
