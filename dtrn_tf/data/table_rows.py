"""What the rows of embedding tables stand for."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence

from dtrn_tf.data.vocabulary import read_vocabulary
from dtrn_tf.schema import Schema, Vocabulary


def table_rows(schema: Schema, directory: str) -> dict[str, Sequence[Hashable]]:
    """For every vocabulary one name a row: ids as text, or numbers of buckets.

    An id has the same name in every vocabulary file, and where `identity` takes the place of a
    file. Buckets of hashes have their number in their names, log buckets the resolution, because
    with another one they hold other ids.

    Args:
        schema: Its vocabularies.
        directory: Where their files are.

    Raises:
        DataError: A vocabulary file is missing or broken.

    >>> from dtrn_tf.schema import CategoricalFeature, Task
    >>> table_rows(Schema(
    ...     vocabularies=(Vocabulary(name="tab", kind="identity", size=2),),
    ...     features=(CategoricalFeature(name="tab", vocabulary="tab", level="request"),),
    ...     tasks=(Task(name="click", label="click"),)), "")["tab"]
    [('padding',), ('unknown',), '0', '1']
    """
    return {v.name: [("padding",), ("unknown",), *_ids(v, directory)] for v in schema.vocabularies}


def _ids(vocabulary: Vocabulary, directory: str) -> Sequence[Hashable]:
    if vocabulary.kind == "file":
        path = os.path.join(directory, str(vocabulary.file))
        return [str(i) for i in read_vocabulary(path, vocabulary.dtype)]
    numbers = range(vocabulary.size)
    if vocabulary.kind == "identity":
        return [str(number) for number in numbers]
    of = vocabulary.size if vocabulary.kind == "hash" else vocabulary.resolution
    return [(vocabulary.kind, of, number) for number in numbers]
