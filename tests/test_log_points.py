"""Points of many runs as one table, and whether their steps rise, against the slow way."""

import random

import numpy as np
import pandas as pd
import pytest

from core.log_files.oddities import oddities
from core.log_files.points import Points, joined, repeated


def points(run, tags, *pieces):
    """pieces: lists of (tag, step, value)."""
    columns = ([[row[at] for row in piece] for piece in pieces] for at in (0, 1, 1, 2))
    codes, steps, times, values = columns
    return Points(run, tags, [np.array([tags.index(tag) for tag in piece], np.int32)
                              for piece in codes],
                  [np.array(piece, np.int64) for piece in steps],
                  [np.array(piece, np.float64) for piece in times],
                  [np.array(piece, np.float64) for piece in values])


def rows(table):
    return [tuple(row) for row in table.drop(columns="wall_time").itertuples(index=False)]


def test_runs_of_different_tags_are_one_table():
    first = points("b", ("loss", "never", "acc"), [("loss", 0, 1.0)], [("acc", 0, 2.0)])
    second = points("a", ("acc", "lr"), [("lr", 5, 3.0), ("acc", 6, float("inf"))])
    third = pd.DataFrame({"run": pd.Categorical(["c"], ["x", "c"]), "tag": pd.Categorical(["lr"]),
                          "step": [7], "wall_time": [7.0], "value": [4.0]})
    table = joined([first, second, third])
    assert rows(table) == [("b", "loss", 0, 1.0), ("b", "acc", 0, 2.0), ("a", "lr", 5, 3.0),
                           ("a", "acc", 6, float("inf")), ("c", "lr", 7, 4.0)]
    assert list(table["run"].cat.categories) == ["a", "b", "c"]
    assert list(table["tag"].cat.categories) == ["acc", "loss", "lr"]  # those that occur
    assert rows(first.table) == rows(table)[:2] and len(first) == 2


@pytest.mark.parametrize("many", [3, 200])  # codes of 8 and of 32 bits
def test_as_many_tags_as_there_are(many):
    tags = tuple(f"tag_{place:03}" for place in reversed(range(many)))
    table = joined([points(run, tags, [(tag, 0, 0.0) for tag in tags]) for run in ("a", "b")])
    assert table["tag"].tolist() == list(tags) * 2


def test_no_points():
    table = joined([points("a", ())])
    assert len(table) == 0 and table["step"].dtype == np.int64
    assert not oddities(table)


def said_slowly(table):
    """(steps that go back, steps that repeat) of each run and tag, row by row."""
    last, back, same = {}, 0, 0
    for run, tag, step in zip(table["run"], table["tag"], table["step"], strict=True):
        before = last.get((run, tag), step - 1)
        back, same = back + (step < before), same + (step == before)
        last[run, tag] = step
    return back, same


@pytest.mark.parametrize("seed", range(60))
def test_steps_that_go_back_or_repeat_are_said_however_tags_come(seed):
    chance, parts = random.Random(seed), []
    for run in chance.choice([["a"], ["a", "b"], ["a", "b", "a"]]):
        tags = ["x", "y", "z"][:chance.randrange(1, 4)]
        found = [(tag, step, 0.0) for step in range(chance.randrange(1, 6)) for tag in tags]
        if chance.random() < 0.5:
            place = chance.randrange(len(found))
            found[place] = (chance.choice(tags), chance.randrange(4), 0.0)
        parts.append(points(run, ("x", "y", "z"), found))
    table = joined(parts)
    back, same = said_slowly(table)
    notes = " ".join(oddities(table))
    assert (f"go back {back} time" in notes) == (back > 0)
    assert (f"{same} point" in notes) == (same > 0)


def test_rounds_that_repeat_are_the_same_table_as_their_codes_written_out():
    plain = points("a", ("x", "never", "b"), [("b", 0, 1.0), ("x", 0, 2.0), ("b", 1, 3.0),
                                              ("x", 1, 4.0)], [("x", 2, 5.0)])
    rounds = Points("a", plain.tags, [np.broadcast_to(np.array([2, 0], np.int32), (2, 2)),
                                      plain.codes[1]], plain.step, plain.wall_time, plain.value)
    assert rounds.occurring.tolist() == [0, 2]
    pd.testing.assert_frame_equal(joined([rounds, plain]), joined([plain, plain]))
    assert list(rounds.table["tag"]) == ["b", "x", "b", "x", "x"]


@pytest.mark.parametrize("many", [1, 3, 200])  # names; codes of 8 and of 32 bits
def test_rounds_of_many_runs_are_written_out_in_their_order(many):
    tags, own = tuple(f"tag_{place:03}" for place in range(many)), np.arange(many)[::-1].copy()
    assert np.array_equal(repeated(own, 4), np.tile(own, (4, 1)))
    column = np.arange(4.0 * many)
    first, last = (
        Points(run, tags, [repeated(own, 4)], [column.astype(np.int64)], [column], [column])
        for run in ("b", "a")
    )
    table = joined([first, Points("none", tags, [], [], [], []), last])
    assert table["run"].tolist() == ["b"] * 4 * many + ["a"] * 4 * many
    assert table["tag"].tolist() == list(tags[::-1]) * 8
    assert list(table["run"].cat.categories) == ["a", "b"]
