"""Records of any features, without a schema."""

import tensorflow as tf

from dtrn_tf.data.profiling.profile import profile_files
from dtrn_tf.data.record_file import frame


def record(**features):
    """A serialized Example of ints, floats, strings or lists of them; None: no list at all."""
    example = tf.train.Example()
    for name, values in features.items():
        feature = example.features.feature[name.replace("__", "-")]
        if values is None:
            feature.SetInParent()
            continue
        values = values if isinstance(values, list) else [values]
        kind = {int: "int64_list", float: "float_list"}.get(type(values[0]) if values else int,
                                                            "bytes_list")
        target = getattr(feature, kind)
        target.SetInParent()
        target.value.extend([v.encode() if isinstance(v, str) else v for v in values])
    return example.SerializeToString()


def write(path, records):
    """Writes records one after the other; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(frame, records)))
    return str(path)


def profile_of(directory, records, **arguments):
    """The profile of a file with these records."""
    return profile_files([write(directory / "records.tfrecord", records)], **arguments)
