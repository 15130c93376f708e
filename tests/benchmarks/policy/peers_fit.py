"""Fits a peer's agent to a log of lists and makes lists with it; for an environment that holds it and not Nightjar.

    python peers_fit.py bandit LOG.npz

LOG.npz holds lists and what they earned: `features` of shape (num_lists, num_candidates, num_features), `item` and
`is_candidate` without the last axis, `history` of shape (num_lists, num_events, 3), `user` and `day` of shape
(num_lists,), `place`, `propensity` and `earned` of shape (num_lists, top_k); and `num_user_features`, which stand last
among the features, `num_kinds` and `num_items`.

What it prints is a line each. First, when it has learnt, the library's version. Then it reads lines of two file names:
lists to be made (`features`, `item`, `is_candidate`, `history`), and a file that gets their `place`; when that is
written, it says "made". Works with vowpalwabbit 9.11.9 and d3rlpy 2.8.1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout

import numpy as np

Lists = Mapping[str, np.ndarray]
Maker = Callable[[Lists], np.ndarray]
"""Makes lists: from what is asked to places of shape (num_lists, top_k), -1 where there are no more candidates."""
NUM_EVENT_TYPES = 4
SEED = 1


def bandit(log: Lists) -> tuple[Maker, str]:
    """A conditional contextual bandit, which fills a list slot by slot and learns from each one's propensity.

    Multi-task regression on what a place earned on its day; step sizes by coin betting, three passes.
    """
    import vowpalwabbit

    agent = vowpalwabbit.Workspace(f"--ccb_explore_adf --cb_type mtr --epsilon 0 --coin --quiet --random_seed {SEED}")
    num_lists, top_k = log["place"].shape
    rng, texts = np.random.default_rng(SEED), [candidate_lines(log, n) for n in range(num_lists)]
    for _ in range(3):
        for n in rng.permutation(num_lists):
            told = zip(log["place"][n], log["earned"][n], log["propensity"][n], strict=True)
            slots = [f"ccb slot {place}:{-earned:.6g}:{share:.6g} |" for place, earned, share in told if place >= 0]
            agent.learn([*texts[n], *slots])

    def make(asked: Lists) -> np.ndarray:
        places = np.full((len(asked["item"]), top_k), -1)
        for n, row in enumerate(places):
            num_slots = min(top_k, int(asked["is_candidate"][n].sum()))
            if num_slots:
                slots = agent.predict([*candidate_lines(asked, n), *["ccb slot |"] * num_slots])
                row[:num_slots] = [max(slot, key=lambda action: action[1])[0] for slot in slots]
        return places

    return make, f"vowpalwabbit {vowpalwabbit.__version__}"


def candidate_lines(lists: Lists, n: int) -> list[str]:
    """A list's candidates, which stand first in its row, as text: what is known of each, but not what of the user."""
    rows = lists["features"][n, lists["is_candidate"][n], : -int(lists["num_user_features"])]
    told = (" ".join(f"{place}:{value:.4g}" for place, value in enumerate(row) if value) for row in rows)
    return ["ccb shared |U", *(f"ccb action |A {text}" for text in told)]


def cql(log: Lists) -> tuple[Maker, str]:
    """Conservative Q-learning: an action is an item, a step a place of a list, an episode all lists of a user.

    The state is what the user did lately. 5,000 steps of 256 places.
    """
    import d3rlpy
    import torch

    torch.set_num_threads(1)  # seeds run side by side
    d3rlpy.seed(SEED)
    order = np.lexsort((log["day"], log["user"]))
    is_there = log["place"][order] >= 0
    item = np.take_along_axis(log["item"], np.maximum(log["place"], 0), axis=1)[order][is_there]
    user, state = (np.repeat(rows[order], is_there.sum(axis=1), axis=0) for rows in (log["user"], states_of(log)))
    num_items, top_k = int(log["num_items"]), log["place"].shape[1]
    places = d3rlpy.dataset.MDPDataset(
        observations=state,
        actions=item[:, None],
        rewards=log["earned"][order][is_there][:, None].astype(np.float32),
        terminals=np.append(user[1:] != user[:-1], True).astype(np.float32),
        action_space=d3rlpy.ActionSpace.DISCRETE,
        action_size=num_items,
    )
    agent = d3rlpy.algos.DiscreteCQLConfig(gamma=0.9, alpha=1.0, batch_size=256, learning_rate=3e-4).create()
    silent = d3rlpy.logging.NoopAdapterFactory()
    agent.fit(places, n_steps=5000, n_steps_per_epoch=5000, show_progress=False, logger_adapter=silent)

    def make(asked: Lists) -> np.ndarray:
        value = np.full(asked["item"].shape, -np.inf)
        row, place = np.nonzero(asked["is_candidate"])
        if len(row):
            # What came into the shop after the log is no action: it is left for last.
            items, states = asked["item"][row, place], states_of(asked)[row]
            told = agent.predict_value(states, np.minimum(items, num_items - 1))
            value[row, place] = np.where(items < num_items, told, np.finfo(np.float32).min)
        best = np.argsort(-value, axis=1, kind="stable")[:, :top_k]
        return np.where(np.take_along_axis(asked["is_candidate"], best, axis=1), best, -1)

    return make, f"d3rlpy {d3rlpy.__version__}"


def states_of(lists: Lists) -> np.ndarray:
    """What users did lately, counted by kind and event type, and what is known of them. (num_lists, any), float32."""
    kind, event_type = lists["history"][..., 0] - 2, lists["history"][..., 1] - 1
    row, nth = np.nonzero(event_type >= 0)
    counts = np.zeros((len(kind), int(lists["num_kinds"]) * NUM_EVENT_TYPES))
    np.add.at(counts, (row, kind[row, nth] * NUM_EVENT_TYPES + event_type[row, nth]), 1)
    of_user = lists["features"][:, 0, -int(lists["num_user_features"]) :]
    return np.concatenate([np.log1p(counts), of_user], axis=1).astype(np.float32)


AGENTS: dict[str, Callable[[Lists], tuple[Maker, str]]] = {"bandit": bandit, "cql": cql}


def main(name: str, path: str) -> None:
    """Learns, then answers until there are no more lines."""
    with np.load(path) as found:
        log = dict(found)
    with redirect_stdout(sys.stderr):  # libraries talk
        make, library = AGENTS[name](log)
    print(library, flush=True)
    constants = {name: log[name] for name in ("num_user_features", "num_kinds")}
    for line in sys.stdin:
        question, answer = line.rstrip("\n").split("\t")
        with np.load(question) as asked:
            places = make({**constants, **asked})
        np.savez(answer, place=places)
        print("made", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
