"""What the name of a feature suggests; words, not parts of words, count."""

from __future__ import annotations

import re

# Feedback of a user, so a label if its values look like one ...
FEEDBACK = frozenset(
    "label labels click clicks clicked clk ctr cvr like liked dislike hate follow followed share "
    "shared comment commented forward forwarded buy bought purchase purchased order ordered "
    "conversion converted conv pay paid cart fav favorite favourite collect download install "
    "reward rating stars target y view viewed watch watched play played enter entered finish "
    "finished complete completed visit visited save saved bookmark skip".split())
# ... unless the name says that it is a statistic of earlier feedback, or an id.
STATISTIC = frozenset(
    "past prior previous last recent history hist rate ratio avg mean sum total count cnt counts "
    "num number gap days type id ids item author bucket level range seq sequence".split())
CODES = frozenset("label labels code rating stars target action event behavior behaviour reward y "
                  "feedback".split())
FLAGS = frozenset("is has was did".split())
WATCHING = frozenset("play watch watched view stay dwell read session".split())
DURATION = frozenset("time times seconds sec secs ms millis duration length".split())
USER = frozenset("user users uid userid member visitor customer account viewer buyer".split())
RECORD_ID = frozenset("request requestid req session sessionid impression log trace pv row".split())
ROW_WEIGHT = frozenset("sample row example instance weight".split())
TIME = frozenset("time timestamp ts datetime date times timestamps".split())
# How long ago an event of a sequence was.
AGE = frozenset("gap gaps age ages ago recency elapsed delta deltas interval intervals".split())
NUMBER = frozenset(
    "count cnt counts num number price prices age duration width height amount score length len "
    "size days seconds minutes hours ms quantity distance revenue cost bid".split())
ITEM = frozenset(
    "item items video photo goods sku skus product products author creator brand category cat cate "
    "tag tags ad ads adgroup campaign doc article news movie song track title price candidate cand "
    "target shop seller content music upload poi book".split())
ITEM_ID = frozenset(
    "item items id ids sku skus video videos photo photos goods product products".split())
SEQUENCE = frozenset(
    "seq sequence sequences hist history past recent clicked viewed liked ordered bought purchased "
    "watched behavior behaviors behaviour behaviours exposed visited played carted saved rated "
    "clicks orders carts views likes purchases events visits".split())


def words(name: str) -> list[str]:
    """The words of a name: at underscores and other signs, and where camelCase changes.

    >>> words("user_clickItem-2"), words("616")
    (['user', 'click', 'item', '2'], ['616'])
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.findall(r"[A-Za-z]+|\d+", spaced)]


def has_word(name: str, vocabulary: frozenset[str]) -> bool:
    """Whether a word of the name is one of these.

    >>> has_word("is_click", FEEDBACK), has_word("clickable", FEEDBACK)
    (True, False)
    """
    return not vocabulary.isdisjoint(words(name))


def common_prefix(names: list[str]) -> str:
    """The first words that all names share, joined; the first name if they share none.

    >>> common_prefix(["liked_item", "liked_tag"]), common_prefix(["a", "b"])
    ('liked', 'a')
    """
    shared = []
    for same_place in zip(*map(words, names)):
        if len(set(same_place)) > 1:
            break
        shared.append(same_place[0])
    return identifier("_".join(shared) if shared else names[0])


def identifier(name: str) -> str:
    """A name that a schema allows: letters, digits, underscores, no digit in front.

    >>> identifier("user-id"), identifier("616"), identifier("item")
    ('user_id', 'feature_616', 'item')
    """
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if plain.isidentifier() else f"feature_{plain}"
