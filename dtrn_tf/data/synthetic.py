"""A planted world: three conflicting tasks whose best possible AUC is known."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dtrn_tf import checks
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.source import Part, Source
from dtrn_tf.errors import SchemaError

BEHAVIORS = ("clicked", "liked", "bought")
TASKS = ("click", "like", "buy")
# How a task's logit [K, T] moves with the likeness of the item to each behaviour's history. Every
# task wants what one history shows and shuns what another shows, so no two agree on any history.
LIKENESS = np.array([[1.0, -0.7, 0.0],
                     [-0.7, 1.0, 0.0],
                     [0.0, -0.8, 1.0]])
# How much an item of the history counts against the next newer one: clicks follow the mood of the
# moment, purchases the whole history. So one pooled history cannot serve all tasks.
MEMORY = np.array([0.5, 0.75, 1.0])
_LIKENESS_SCALE = 2.0
_BIAS = np.array([-0.6, -1.8, -2.4])
_NUM_SEGMENTS = 5
_FIRST_SECOND = 1_704_067_200  # 2024-01-01 UTC
_DAY = 86_400
# Users are simulated in blocks with a random stream of their own.
_BLOCK = 512


@dataclass(frozen=True, kw_only=True)
class SyntheticWorld:
    """Users with a taste per behaviour meet random items; labels follow a known probability.

    For user u, item i of category c, task k and behaviour t, with v_c the unit vector of a
    category, H_t the user's newest `history_length` items of behaviour t strictly before:

        likeness_kt = mean over j in H_t of v_c(j) . v_c, weighted with memory_k ** age(j)
                      (age 0, 1, ... from the newest; 0 for an empty H_t)
        P(label_k) = sigmoid(bias_k + segment_k(u) + appeal_k(c) + 2 sum_t W_kt likeness_kt)

    Every term can be read off the record, so the AUC of P is the best that any model reaches. A
    label of 1 puts the item at the end of the task's behaviour. The histories before the first
    impression are drawn from the user's tastes, one per behaviour and independent.

    Args:
        num_users: Users.
        num_items: Items.
        num_categories: Categories; items are spread evenly over them.
        num_dimensions: Length of the category vectors.
        history_length: How many of the newest items of a behaviour count.
        mean_impressions: Mean number of impressions of a user.
        candidates_per_request: How many items are shown at once, all after the same history.
        num_days: The log begins on 2024-01-01 and lasts this long.
        seed: Equal seeds give equal worlds.

    >>> world = SyntheticWorld(num_users=7, seed=3)
    >>> world.block("interactions", first=0).columns.tolist()[:6]
    ['user_id', 'item_id', 'time', 'clicked', 'liked', 'bought']
    """

    num_users: int = 3000
    num_items: int = 500
    num_categories: int = 10
    num_dimensions: int = 3
    history_length: int = 8
    mean_impressions: int = 29
    candidates_per_request: int = 1
    num_days: int = 14
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_users", "num_items", "num_categories", "num_dimensions",
                     "history_length", "mean_impressions", "candidates_per_request", "num_days"):
            checks.whole_at_least(getattr(self, name), 1, f"`{name}` of the synthetic world")
        checks.whole_at_least(self.seed, 0, "`seed` of the synthetic world")

    @functools.cached_property
    def items(self) -> pd.DataFrame:
        """Items with their category."""
        ids = np.arange(self.num_items)
        return pd.DataFrame({"item_id": ids, "category": ids % self.num_categories})

    @functools.cached_property
    def _vectors(self) -> np.ndarray:  # [categories, dimensions]
        vectors = self._rng(0).normal(size=(self.num_categories, self.num_dimensions))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    @functools.cached_property
    def _appeal(self) -> np.ndarray:  # [categories, K]
        return self._rng(1).normal(scale=0.4, size=(self.num_categories, len(TASKS)))

    @functools.cached_property
    def _segment_bias(self) -> np.ndarray:  # [segments, K]
        return self._rng(2).normal(scale=0.4, size=(_NUM_SEGMENTS, len(TASKS)))

    def probabilities(
        self, items: np.ndarray, segments: np.ndarray, histories: np.ndarray
    ) -> np.ndarray:
        """The true probability of every task's label, from what a record shows.

        Args:
            items: [B] item ids.
            segments: [B] the users' segments.
            histories: [B, T, L] item ids of each behaviour strictly before, -1 where empty.

        Returns:
            [B, K].
        """
        category = self.items["category"].to_numpy()
        valid = histories >= 0
        of_history = self._vectors[category[np.where(valid, histories, 0)]]  # [B, T, L, d]
        likeness = np.einsum("btld,bd->btl", of_history, self._vectors[category[items]])
        age = np.arange(self.history_length)[::-1]
        weights = valid[:, None] * MEMORY[:, None, None] ** age  # [B, K, T, L]
        likeness = (np.einsum("bktl,btl->bkt", weights, likeness)
                    / np.maximum(weights.sum(axis=-1), 1e-9))  # [B, K, T]
        logits = (_BIAS + self._segment_bias[segments] + self._appeal[category[items]]
                  + _LIKENESS_SCALE * np.einsum("bkt,kt->bk", likeness, LIKENESS))
        return 1.0 / (1.0 + np.exp(-logits))

    def source(self) -> Source:
        """The log, block by block.

        Tables: interactions (user_id, item_id, time in s, clicked, liked, bought, the true
        probabilities p_click, p_like, p_buy, and request_id), users (segment), items (category),
        prehistory (clicked, liked, bought: lists of items).
        """
        def blocks(table: str) -> tuple[Part, ...]:
            return tuple(_Block(world=self, table=table, first=first)
                         for first in range(0, self.num_users, _BLOCK))

        return Source(interactions=blocks("interactions"), users=blocks("users"),
                      items=blocks("items")[:1], prehistory=blocks("prehistory"),
                      num_rows=self.num_users * self.mean_impressions, distinct=True)

    def block(self, table: str, first: int) -> pd.DataFrame:
        """One table of the block of users that begins with the user `first`."""
        if table == "items":
            return self.items
        rng = self._rng(3, first)
        users = np.arange(first, min(first + _BLOCK, self.num_users))
        segments = rng.integers(_NUM_SEGMENTS, size=len(users))
        if table == "users":
            return pd.DataFrame({"user_id": users, "segment": segments})
        histories = self._initial_histories(rng, len(users))
        if table == "interactions":
            return self._simulate(rng, users, segments, histories)
        return pd.DataFrame({"user_id": users} | {
            behavior: [[int(i) for i in items if i >= 0] for items in histories[:, t]]
            for t, behavior in enumerate(BEHAVIORS)})

    def _initial_histories(self, rng: np.random.Generator, num_users: int) -> np.ndarray:
        """[B, T, L] item ids drawn from the users' tastes, newest last, -1 before the oldest."""
        shape = (num_users, len(BEHAVIORS), self.history_length)
        tastes = rng.normal(size=(*shape[:2], self.num_dimensions))
        attraction = 3.0 * np.einsum("btd,cd->btc", tastes, self._vectors)
        # The largest of attraction + Gumbel noise is a draw from softmax(attraction).
        noise = rng.gumbel(size=(*shape, self.num_categories))
        categories = np.argmax(attraction[:, :, None] + noise, axis=-1)
        items = self._item_of_category(rng, categories)
        lengths = rng.integers(self.history_length + 1, size=shape[:2])
        kept = np.arange(self.history_length) >= self.history_length - lengths[..., None]
        return np.where(kept, items, -1)

    def _item_of_category(self, rng: np.random.Generator, categories: np.ndarray) -> np.ndarray:
        per_category = -(-(self.num_items - categories) // self.num_categories)
        nth = np.floor(rng.random(categories.shape) * per_category).astype(np.int64)
        return nth * self.num_categories + categories

    def _simulate(
        self, rng: np.random.Generator, users: np.ndarray, segments: np.ndarray,
        histories: np.ndarray,
    ) -> pd.DataFrame:
        """Requests one after the other; each sees the labels of those before."""
        histories = histories.copy()
        num_shown = self.candidates_per_request
        mean_more = max(self.mean_impressions / num_shown - 1, 0.0)
        requests = 1 + rng.poisson(rng.gamma(4.0, mean_more / 4.0, size=len(users)))
        times = self._times(rng, requests)
        parts = []
        for step in range(requests.max()):
            rows = np.flatnonzero(step < requests)
            # In the order in which a log sorts what was shown at the same time.
            items = np.sort(rng.integers(self.num_items, size=(len(rows), num_shown)), axis=1)
            of_row = rows.repeat(num_shown)
            truth = self.probabilities(items.ravel(), segments[of_row], histories[of_row])
            labels = rng.random(truth.shape) < truth
            _append(histories, rows, items, labels.reshape(*items.shape, len(TASKS)))
            parts.append(pd.DataFrame(
                {"user_id": users[of_row], "item_id": items.ravel(), "time": times[of_row, step]}
                | dict(zip(BEHAVIORS, labels.T.astype(np.int64)))
                | {f"p_{task}": truth[:, k] for k, task in enumerate(TASKS)}
                | {"request_id": step}))
        return pd.concat(parts, ignore_index=True)

    def _times(self, rng: np.random.Generator, impressions: np.ndarray) -> np.ndarray:
        """[B, steps] strictly increasing seconds within the log's days."""
        steps = np.arange(impressions.max())
        drawn = rng.random((len(impressions), len(steps)))
        drawn = np.sort(np.where(steps < impressions[:, None], drawn, 1.0), axis=1)
        span = self.num_days * _DAY - len(steps)
        return _FIRST_SECOND + (drawn * span).astype(np.int64) + steps

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])


@dataclass(frozen=True, kw_only=True)
class _Block:
    """A part of a table of the world; it is simulated where it is called."""

    world: SyntheticWorld
    table: str
    first: int

    def __call__(self) -> Iterator[pd.DataFrame]:
        yield self.world.block(self.table, self.first)


def _append(
    histories: np.ndarray, rows: np.ndarray, items: np.ndarray, labels: np.ndarray
) -> None:
    """Puts items [R, M] with label 1 [R, M, T] at the end of the histories [B, T, L] of rows."""
    for shown, label in zip(items.T, np.moveaxis(labels, 1, 0)):
        for t in range(labels.shape[-1]):
            grown = rows[label[:, t]]
            histories[grown, t] = np.column_stack([histories[grown, t, 1:], shown[label[:, t]]])


def load_world(spec: PrepareSpec, *, seed: int, num_users: int | None = None) -> SyntheticWorld:
    """The world that a spec describes.

    Raises:
        SchemaError: An argument is unknown or out of range, or a sequence is too short to show
            what the labels depend on.
    """
    arguments = spec.synthetic | {"seed": seed}
    if num_users is not None:
        arguments["num_users"] = num_users
    world: SyntheticWorld = checks.build(SyntheticWorld, arguments, "synthetic")
    for sequence in spec.sequences:
        if sequence.max_length < world.history_length:
            raise SchemaError(f"`max_length` of sequence {sequence.behavior!r} should be at least "
                              f"`history_length` of the synthetic world ({world.history_length}), "
                              "or no model can reach the best AUC. "
                              f"Received: {sequence.max_length}.")
    return world
