"""A tiny KuaiRand in the official CSV layout and the same in the Parquet layout."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd

from dtrn_tf.data.preparation.kuairand import official_files

FEEDBACK = ("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "long_view",
            "is_profile_enter")
# 2022-05-03 23:59:59.999 at UTC+8, the last millisecond of train.
END_OF_TRAIN = 1_651_593_599_999
DAY = 86_400_000


def impression(user: int, item: int, time: int, **feedback: int) -> dict[str, Any]:
    return {
        "user_id": user, "video_id": item, "date": 20220101, "hourmin": 0, "time_ms": time,
        **dict.fromkeys(FEEDBACK, 0), "play_time_ms": 999, "duration_ms": 7000 + item,
        "profile_stay_time": 999, "comment_stay_time": 999, "is_rand": 0, "tab": 1, **feedback}


LOG = (
    impression(3, 11, END_OF_TRAIN - 9 * DAY, is_click=1, long_view=1),
    impression(3, 13, END_OF_TRAIN - 8 * DAY, is_like=1),
    impression(3, 13, END_OF_TRAIN - 8 * DAY, is_click=1),  # The same impression once more.
    impression(5, 11, END_OF_TRAIN - 7 * DAY, is_click=1, is_comment=1),
    impression(5, 17, END_OF_TRAIN, is_click=1),
    impression(3, 17, END_OF_TRAIN + 1),
    impression(5, 13, END_OF_TRAIN + DAY, is_click=1, is_like=1),
    impression(7, 99, END_OF_TRAIN + 2 * DAY + 1),  # Neither user nor item is in the tables.
    impression(3, 11, END_OF_TRAIN + 3 * DAY, is_click=1),
)


def users_table() -> pd.DataFrame:
    ranges = {f"{name}_range": ["500+", "0"] for name in
              ("follow_user_num", "fans_user_num", "friend_user_num", "register_days")}
    numbers = {name.removesuffix("_range"): [600, 0] for name in ranges}
    onehot = {f"onehot_feat{i}": [i, i + 1] for i in range(18)}
    return pd.DataFrame({"user_id": [3, 5], "user_active_degree": ["full_active", "UNKNOWN"],
                         "is_live_streamer": [1, -124], "is_video_author": [0, 1],
                         "is_lowactive_period": 0, **numbers, **ranges, **onehot,
                         "onehot_feat4": [4.0, None]})


def items_table() -> pd.DataFrame:
    return pd.DataFrame({
        "video_id": [11, 13, 17], "author_id": [101, 103, 101], "video_type": "NORMAL",
        "upload_dt": "2022-04-10", "upload_type": ["Web", "Kmovie", "Web"],
        "music_type": [9.0, None, 4.0], "server_width": 720, "server_height": 1280,
        "visible_status": [2, None, 4], "video_duration": [7011.0, None, 7017.0],
        "music_id": [3_000_000_000, 1, 2],
        "tag": ["12,7", "7", None]})


def write_official(directory: Any, edition: str = "pure") -> str:
    """The layout of the `data` directory of KuaiRand-Pure or -1K."""
    log = pd.DataFrame(LOG)
    os.makedirs(directory, exist_ok=True)
    for table, parts in (("interactions", (log[:2], log[2:])), ("users", (users_table(),)),
                         ("items", (items_table(),))):
        for part, file in zip(parts, official_files(table, edition)):
            part.to_csv(os.path.join(directory, file), index=False)
    return str(directory)


def write_parquet(directory: Any, prehistory: bool = False) -> str:
    """The Parquet layout; optionally with what users saw before."""
    os.makedirs(directory, exist_ok=True)
    names = {"video_id": "item_id", "time_ms": "timestamp"}
    tables = {"interactions": pd.DataFrame(LOG), "users": users_table(), "items": items_table()}
    if prehistory:
        tables["prehistory"] = pd.DataFrame({
            "user_id": [3, 5], "n_exposed_before": [3, 100],
            "last_timestamp": [END_OF_TRAIN - 10 * DAY, END_OF_TRAIN - 11 * DAY],
            "exposed_seq": [[17, 13, 11], [11, 13] * 25], "long_view_seq": [[13], [11] * 50],
            "like_seq": [[], [13]]})
    for name, table in tables.items():
        table.rename(columns=names).to_parquet(os.path.join(directory, f"{name}.parquet"))
    return str(directory)
