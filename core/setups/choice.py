"""When another set-up counts as clearly better, and which of several is meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from core.setups.orders import Answers, Order
from core.setups.setup import SetUp

GAIN = 0.05  # share of the examples by which an offer is right more often, at least
CHANCE = 0.01  # of any offer at all where none of the alternatives is better
AS_GOOD = 0.05  # probability from which fewer right answers than the best may be chance


@dataclass(frozen=True)
class Tried:
    """A set-up with an order of classes, and how it did. guessed: whether the order is the
    predictions' own suggestion."""

    setup: SetUp
    order: Order
    answers: Answers
    guessed: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.setup.words, *([self.order.words] if self.order.words else []))

    @property
    def cost(self) -> float:
        """How much it assumes; a suggested order of classes more than a known one."""
        return self.setup.cost + bool(self.order.words) + 0.5 * self.guessed

    @property
    def right(self) -> int:
        return int(self.answers.right.sum())


def chance(other: Answers, one: Answers) -> float:
    """The probability that `other` is right at least this much more often than `one` by chance.

    An exact sign test, one-sided, on the examples where only one of the two is right (McNemar).
    """
    better = int((other.right & ~one.right).sum())
    worse = int((one.right & ~other.right).sum())
    differ = better + worse
    return sum(comb(differ, number) for number in range(better, differ + 1)) / 2**differ


def ranked(tried: Sequence[Tried]) -> list[Tried]:
    """The likeliest to be meant first.

    Among those whose right answers are as many as the best's, or fewer by what chance explains,
    the fewest changes come first, then the smallest loss; after them the rest by right answers.
    """
    best = max(tried, key=lambda entry: (entry.right, -entry.answers.loss.mean()))
    rivals = [entry for entry in tried if chance(best.answers, entry.answers) > AS_GOOD]
    rivals.sort(key=lambda entry: (entry.cost, entry.answers.loss.mean()))
    rest = [entry for entry in tried if not any(entry is rival for rival in rivals)]
    return rivals + sorted(rest, key=lambda entry: -entry.right)


def clearly_better(entry: Tried, now: Tried, alternatives: int) -> bool:
    """Whether to offer it: GAIN more right, and less likely by chance than CHANCE shared among all
    alternatives that were tried (Bonferroni), so that silence holds however many those are."""
    gain = (entry.right - now.right) / len(now.answers.right)
    return gain >= GAIN and chance(entry.answers, now.answers) * alternatives < CHANCE
