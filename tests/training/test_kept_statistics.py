import dataclasses

from helpers import small_schema

from dtrn_tf.data.statistics import Moments, Statistics, save_statistics
from dtrn_tf.schema import NumericFeature, save_schema
from dtrn_tf.training.kept_statistics import kept_statistics


def test_what_the_weights_know_stays_and_every_difference_is_listed(tmp_path):
    schema = small_schema()
    save_schema(schema, tmp_path / "schema.yaml")
    save_statistics(Statistics(numeric={"age": Moments(30.0, 5.0), "duration": Moments(1.5, 0.5)},
                               base_rates={"click": 0.5}), tmp_path / "statistics.json")
    # `duration` has another transform now, `price` is new, `age` has moved.
    numbers = (schema.features[5], dataclasses.replace(schema.features[6], transform="identity"),
               NumericFeature(name="price", level="candidate"))
    changed = dataclasses.replace(schema, features=(*schema.features[:5], *numbers))
    now = Statistics(numeric={"age": Moments(40.0, 6.0), "duration": Moments(4.0, 2.0),
                              "price": Moments(7.0, 3.0)}, base_rates={"click": 0.25})
    kept, table = kept_statistics(changed, now, str(tmp_path))
    assert kept.numeric == {"age": Moments(30.0, 5.0), "duration": Moments(4.0, 2.0),
                            "price": Moments(7.0, 3.0)}
    assert kept.base_rates == {"click": 0.25}
    assert table.splitlines()[1].split() == ["age", "30", "5", "40", "6"]
    assert len(table.splitlines()) == 2
    same = Statistics(numeric={"age": Moments(30.0, 5.0), "duration": Moments(1.5, 0.5)})
    assert kept_statistics(schema, same, str(tmp_path)) == (same, "")
