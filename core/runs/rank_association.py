"""Which hyperparameter goes with a metric: rank statistics, each with its n and a p value."""

from itertools import combinations

import numpy as np
import pandas as pd

PERMUTATIONS = 1999
FEW_RUNS = 10
TOGETHER = 0.8  # rank correlation above which two hyperparameters cannot be told apart
FEWEST = 3
COLUMNS = ["hyperparameter", "measure", "value", "n", "p"]
CORRELATION, ETA = "rank correlation", "eta² of ranks"


def associations(stated: pd.DataFrame, metric: pd.Series) -> tuple[pd.DataFrame, list[str]]:
    """COLUMNS, strongest first, and what to beware of.

    stated: hyperparameters, a row a run. Numbers and booleans: Spearman's rank correlation, -1 to
    1; words: the share of the variance of the metric's ranks that lies between their groups, 0 to 1
    (Kruskal and Wallis' H / (n - 1)). p: the share of 1,999 seeded shufflings of the metric that
    give as much, itself counted. Infinite metrics are ranked, NaN is left out.
    """
    there = metric.notna()
    shuffled: dict[bytes, np.ndarray] = {}  # the last one: most columns miss the same runs
    rows, few, skipped = [], [], []
    for name, column in stated.items():
        both = there & column.notna()
        values, y = column[both], metric[both].rank().to_numpy()
        groups = values.nunique()
        alone = not is_ordered(column) and groups == len(values)
        if len(y) < FEWEST or groups < 2 or np.ptp(y) == 0 or alone:
            (few if len(y) < FEWEST else skipped).append(str(name))
            continue
        y, known = y - y.mean(), both.to_numpy().tobytes()
        if known not in shuffled:
            shuffled = {known: _shuffled(y)}
        measure = _correlation if is_ordered(column) else _eta
        rows.append((str(name), *measure(values, y, shuffled[known])))
    table = pd.DataFrame(rows, columns=COLUMNS)
    strongest = table["value"].abs().sort_values(ascending=False, kind="stable").index
    table = table.loc[strongest].reset_index(drop=True)
    return table, _warnings(stated, table, few, skipped, int((~there).sum()))


def is_ordered(column: pd.Series) -> bool:
    """Whether its values have an order: numbers, and false before true."""
    return pd.api.types.is_numeric_dtype(column.dtype)


def _shuffled(y: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permuted(np.tile(y, (PERMUTATIONS, 1)), axis=1)


def _correlation(values: pd.Series, y: np.ndarray, shuffled: np.ndarray) -> tuple:
    x = values.astype(float).rank().to_numpy()
    x = (x - x.mean()) / np.sqrt(x.var() * y.var()) / len(x)
    found = float(x @ y)
    return CORRELATION, found, len(y), _share(abs(found), np.abs(shuffled @ x))


def _eta(values: pd.Series, y: np.ndarray, shuffled: np.ndarray) -> tuple:
    member = pd.get_dummies(values).to_numpy(np.float64)  # (n, groups)
    weight = 1 / (member.sum(axis=0) * (y @ y))
    found = float((y @ member) ** 2 @ weight)
    return ETA, found, len(y), _share(found, (shuffled @ member) ** 2 @ weight)


def _share(found: float, by_chance: np.ndarray) -> float:
    return (1 + int((by_chance >= found - 1e-9).sum())) / (1 + len(by_chance))


def together(stated: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs that vary together: a rank correlation above 0.8 either way; where one is of words,
    each value of one with one value of the other."""
    different = stated.nunique()
    stated = stated[[name for name in stated if different[name] > 1]]
    ordered = stated[[name for name in stated if is_ordered(stated[name])]].astype(float)
    correlation = ordered.corr(method="spearman", min_periods=FEWEST).abs()
    return [
        (str(a), str(b))
        for a, b in combinations(stated, 2)
        if (
            correlation.loc[a, b] > TOGETHER
            if a in ordered and b in ordered
            else different[a] == different[b] and _paired(stated[[a, b]].dropna())
        )
    ]


def _paired(both: pd.DataFrame) -> bool:
    """Whether each value of one column comes with one value of the other, and some repeat."""
    pairs = len(both.drop_duplicates())
    return 1 < pairs < len(both) and list(both.nunique()) == [pairs, pairs]


def _warnings(
    stated: pd.DataFrame, table: pd.DataFrame, few: list[str], skipped: list[str],
    not_a_number: int,
) -> list[str]:
    said = []
    if len(table) and table["n"].min() < FEW_RUNS:
        said.append(f"As few as {table['n'].min()} runs: below {FEW_RUNS}, chance alone often "
                    "looks like a strong relation.")
    if pairs := together(stated[[name for name in stated if str(name) not in few + skipped]]):
        named = "; ".join(f"{a} and {b}" for a, b in pairs[:5]) + (" …" if len(pairs) > 5 else "")
        said.append(f"Varied together, so these runs cannot say which of them mattered: {named}.")
    if not_a_number:
        said.append(f"Left out: {not_a_number} of {len(stated)} runs where the metric is NaN or "
                    "missing. What made a run fail is not seen here.")
    for reason, names in ((f"fewer than {FEWEST} runs have both", few),
                          ("they do not vary enough", skipped)):
        if names:
            said.append(f"Not measured, as {reason}: {', '.join(names[:5])}"
                        + (" …" if len(names) > 5 else "."))
    return said
