import pandas as pd
import pytest
from test_prepare_spec import CONFIG

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.tables import Tables, merge_duplicates

SPEC = PrepareSpec.from_dict(CONFIG)
TWICE = pd.DataFrame({"user": [1, 1, 1, 1], "item": [2, 2, 2, 2], "time": [3, 4, 3, 3],
                      "purchase": [0, 0, 1, 0], "tab": [9.0, 7, 5, None],
                      "place": [None, "c", "b", "a"]})


def merged_log(log):
    return merge_duplicates(Tables(interactions=log), SPEC).interactions


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1]])
def test_duplicates_keep_the_maximum_of_feedback(order):
    merged = merged_log(TWICE.iloc[order]).sort_values("time")
    # The first of the rows in the order of tab and place, whatever the order of the log.
    assert merged.to_dict("list") == {"user": [1, 1], "item": [2, 2], "time": [3, 4],
                                      "purchase": [1, 0], "tab": [5, 7], "place": ["b", "c"]}


def test_duplicates_without_other_columns():
    log = TWICE[["user", "item", "time", "purchase"]]
    assert merged_log(log).sort_values("time").purchase.tolist() == [1, 0]
    single = log.iloc[:2]
    assert merged_log(single) is single
