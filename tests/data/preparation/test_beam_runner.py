import dataclasses
import pathlib
import sys

import pandas as pd
import pytest
from test_preparation import interactions, spec_of, tables

from dtrn_tf.data.preparation.prepare import prepare
from dtrn_tf.data.preparation.runners import beam_runner
from dtrn_tf.data.preparation.source import Source, source_of
from dtrn_tf.data.preparation.tables import Tables
from dtrn_tf.errors import DataError, UserError

beam = pytest.importorskip("apache_beam")
pytestmark = pytest.mark.filterwarnings("default")  # Beam's own.


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes()
            for path in pathlib.Path(directory).rglob("*") if path.is_file()}


def in_other_order(source):
    """The same rows, shuffled, in three parts of unequal size."""
    def parts(found):
        table = pd.concat([frame for part in found for frame in part()], ignore_index=True)
        table = table.sample(frac=1.0, random_state=3)
        first, second = len(table) // 7, len(table) // 2
        cuts = [table.iloc[:first], table.iloc[first:second], table.iloc[second:]]
        return sum((source_of(Tables(interactions=cut)).interactions for cut in cuts), ())

    return Source(**{table: parts(found) for table, found in source.parts().items()},
                  num_rows=source.num_rows)


def log(num_users=41):
    """With rows that stand there twice and say different things."""
    once = interactions(num_users)
    twice = once.iloc[::5].assign(purchase=1)
    return pd.concat([once.assign(tab=1), twice.assign(tab=0)], ignore_index=True)


def features():
    spec = spec_of()
    return [dataclasses.asdict(feature) for feature in spec.features] + [
        {"name": "tab", "table": "interactions", "column": "tab"},
        {"name": "city", "table": "users", "column": "city"}]


@pytest.mark.parametrize("changes, arguments", [
    ({"request_window_seconds": 2 * 86_400}, {"layout": "request", "max_candidates": 2}),
    ({"negatives": {"per_positive": 2}}, {"gzip": True}),
])
def test_the_bytes_are_those_of_the_local_runner(tmp_path, changes, arguments):
    spec = spec_of(features=features(), **changes)
    users = pd.DataFrame({"user": range(40), "city": list("abcd") * 10})
    before = pd.DataFrame({"user": [1, 3], "bought_before": [[5, 4], []]})
    source = source_of(tables(interactions=log(), users=users, prehistory=before))
    local = prepare(spec, source, str(tmp_path / "local"), num_shards=3, seed=5, **arguments)
    again = prepare(spec, in_other_order(source), str(tmp_path / "beam"), num_shards=3, seed=5,
                    run=beam_runner("direct"), **arguments)
    assert again == local and sum(local["rows"].values()) >= 41 * 7 - 41
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    assert len(contents(tmp_path / "beam")) == 3 * 3 + 3 + 4


def test_an_error_of_a_worker_is_ours(tmp_path):
    source = source_of(tables(interactions=log().assign(user=None)))
    with pytest.raises(DataError, match="column 'user' of table `interactions` should have an id"):
        prepare(spec_of(), source, str(tmp_path / "data"), num_shards=2, run=beam_runner("direct"))
    assert not list(tmp_path.iterdir())


def test_errors_that_runners_wrap():
    from dtrn_tf.data.preparation.beam_runner import _as_user_error
    wrapped = RuntimeError(
        "Traceback ...\ndtrn_tf.errors.DataError: a.csv: is cut. Mend it.\n more")
    assert str(_as_user_error(wrapped)) == "a.csv: is cut. Mend it."
    assert "should run to its end. Received: OSError: no route" in str(
        _as_user_error(OSError("no route")))


def test_options_reach_beam():
    from apache_beam.options.pipeline_options import GoogleCloudOptions, StandardOptions
    options = beam_runner("dataflow", "--project=p --region 'us east'").keywords["options"]
    assert options.view_as(StandardOptions).runner == "DataflowRunner"
    assert options.view_as(GoogleCloudOptions).project == "p"
    assert options.view_as(GoogleCloudOptions).region == "us east"
    for name, expected in (("flink", "FlinkRunner"), ("spark", "SparkRunner")):
        view = beam_runner(name).keywords["options"].view_as(StandardOptions)
        assert view.runner == expected


@pytest.mark.parametrize("options, message", [
    ("--nonsense=3", r"options of Apache Beam or of its runner. Received: \['nonsense'\]"),
    ("--direct_num_workers=x", "options of Apache Beam .* Received: .*invalid int value: 'x'"),
    ("--project='x", "should be written as on a command line. Received: .*No closing quotation"),
    ("--runner=DirectRunner", "--beam_options should not name a runner, which --runner does"),
])
def test_options_that_beam_does_not_know(options, message):
    with pytest.raises(UserError, match=message):
        beam_runner("dataflow", options)


def test_without_beam(monkeypatch):
    monkeypatch.delitem(sys.modules, "dtrn_tf.data.preparation.beam_runner", raising=False)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UserError, match=r"--runner=flink should find Apache Beam. Received: it is "
                                        r"not installed. Run `pip install dtrn_tf\[beam\]`"):
        beam_runner("flink")
