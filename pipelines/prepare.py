"""Turns interaction logs into records: python -m pipelines.prepare --flagfile=FILE"""

from __future__ import annotations

from typing import Any

from absl import flags
from tqdm import tqdm

from dtrn_tf import program  # First: it quietens TensorFlow's start.
from dtrn_tf.data.preparation.local_runner import run_locally
from dtrn_tf.data.preparation.prepare import Runner, prepare
from dtrn_tf.data.preparation.prepare_spec import load_prepare_spec
from dtrn_tf.data.preparation.record_writer import check_target
from dtrn_tf.data.preparation.requests import check_requests_are_told
from dtrn_tf.data.preparation.runners import BEAM_RUNNERS, beam_runner
from dtrn_tf.data.preparation.shard import Job
from dtrn_tf.data.preparation.source import Source
from dtrn_tf.data.preparation.sources import open_source
from dtrn_tf.data.preparation.tally import Tally
from dtrn_tf.errors import UserError
from dtrn_tf.schema import LAYOUTS
from dtrn_tf.text_table import text_table

_SPEC = flags.DEFINE_string("spec", None, "YAML file that says what to make of which tables.",
                            required=True)
_SOURCE_DIR = flags.DEFINE_string("source_dir", None, "Directory with the tables; not for the "
                                  "synthetic world.")
_TFDS = flags.DEFINE_string(
    "tfds", None, "Instead of --source_dir: the data sets that TFDS has prepared, `NAME` or "
    "`NAME:CONFIG`: kuairand:pure, taobao_user_behavior, movielens:100k.")
_TFDS_DATA_DIR = flags.DEFINE_string("tfds_data_dir", None, "Where TFDS has prepared them; by "
                                     "default $TFDS_DATA_DIR or ~/tensorflow_datasets.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Directory to make.", required=True)
_NUM_SHARDS = flags.DEFINE_integer("num_shards", None, "Files per split, each with the records of "
                                   "some users, which are in memory at a time; by default one for "
                                   "250,000 rows of the log.", lower_bound=1)
_GZIP = flags.DEFINE_boolean("gzip", False, "Compress the files.")
_LAYOUT = flags.DEFINE_enum("layout", "impression", LAYOUTS, "What one record is: an impression, "
                            "or a request: the user side once, with all candidates.")
_MAX_CANDIDATES = flags.DEFINE_integer("max_candidates", 100, "The most candidates of a record; a "
                                       "longer request becomes several.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the order of records and of the synthetic world; equal "
                             "seeds give equal files.", lower_bound=0)
_OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace --data_dir if it exists.")
_NUM_USERS = flags.DEFINE_integer("num_users", 0, "Users of the synthetic world; 0 for as many "
                                  "as the spec says.", lower_bound=0)
_RUNNER = flags.DEFINE_enum("runner", "local", ["local", *BEAM_RUNNERS], "What runs it: this "
                            "process, or Apache Beam (extra `beam`) here, on Dataflow, Flink or "
                            "Spark. All write the same bytes.")
_BEAM_OPTIONS = flags.DEFINE_string("beam_options", "", "Options of Beam's runner, such as "
                                    "\"--project=NAME --region=NAME\".")


def main() -> None:
    spec = load_prepare_spec(_SPEC.value)
    # Before the tables are read, so that a mistake shows at once.
    check_target(_DATA_DIR.value, _OVERWRITE.value, marker="schema.yaml")
    if _LAYOUT.value == "request":
        check_requests_are_told(spec)
    source = open_source(spec, _SOURCE_DIR.value, seed=_SEED.value,
                         num_users=_NUM_USERS.value or None, tfds=_TFDS.value,
                         tfds_data_dir=_TFDS_DATA_DIR.value)
    summary = prepare(spec, source, _DATA_DIR.value, num_shards=_NUM_SHARDS.value,
                      gzip=_GZIP.value, layout=_LAYOUT.value,
                      max_candidates=_MAX_CANDIDATES.value, seed=_SEED.value,
                      overwrite=_OVERWRITE.value, run=_runner())
    print(summary_table(summary))
    print(f"written: {_DATA_DIR.value}")


def _runner() -> Runner:
    if _RUNNER.value != "local":
        return beam_runner(_RUNNER.value, _BEAM_OPTIONS.value)
    if _BEAM_OPTIONS.value:
        raise UserError("--beam_options should be given for runners of Apache Beam only. Received: "
                        f"{_BEAM_OPTIONS.value!r} for --runner=local.")
    return _run_with_bars


def _run_with_bars(source: Source, job: Job, directory: str) -> Tally:
    with (tqdm(desc="read", unit=" rows", unit_scale=True) as read,
          tqdm(desc="write", unit=" rows", unit_scale=True) as write):
        bars = {"read": read, "write": write}
        return run_locally(source, job, directory, lambda step, rows: bars[step].update(rows))


def summary_table(summary: dict[str, Any]) -> str:
    """Rows and positive rates per split and task, and the best possible AUC where it is known."""
    rates = summary["positive_rates"]
    tasks = list(next(iter(rates.values())))
    counts = [name for name in ("rows", "requests") if name in summary]
    lines = [["", *counts, *tasks]]
    lines += [[split, *(f"{summary[name][split]:,}" for name in counts),
               *(_percent(rates[split][task]) for task in tasks)] for split in rates]
    if "bayes_auc" in summary:
        lines.append(["best AUC", *[""] * len(counts),
                      *(f"{summary['bayes_auc'][t]:.4f}" for t in tasks)])
    return text_table(lines)


def _percent(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:.2%}"


if __name__ == "__main__":
    program.run(main)
