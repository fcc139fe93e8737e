"""What a tag says, however a site spells it: the one rule for every filter that looks at tags."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# For who is no general audience, as sites without ratings tag it; the names as `Tag.name` has them.
_ADULT = frozenset(
    {
        "ecchi",
        "nude",
        "nudity",
        "naked",
        "partially_nude",
        "completely_nude",
        "topless",
        "bottomless",
        "censored",
        "uncensored",
        "underwear",
        "lingerie",
        "bra",
        "panties",
        "suggestive",
        "gore",
        "blood",
        "hentai",
        "explicit",
        "nsfw",
        "r18",
        "r_18",
    }
)
GENERAL = frozenset({"g", "general", "s", "safe"})  # ratings, as sites and tags spell them
_BREAKS = re.compile(r"[\s_-]+|(?<=[^\W_])\+(?=[^\W_])")  # a plus as in an address
_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class Tag:
    """A tag in one spelling: lower case, ``_`` between words, what stands before a colon apart.

    ``prefix``: ``theme`` of ``Theme:Ecchi``; empty where there is none.
    """

    name: str
    prefix: str = ""


def parse(spelled: str) -> Tag:
    """The tag that a site or a person spells as ``spelled``.

    ``Theme:Partially Nude``, ``:partially_nude`` and ``partially-nude`` have one name. Letters of
    other widths are the same letters, HTML's ``&#58;`` is a colon, and characters that nobody sees
    are none.
    """
    text = unicodedata.normalize("NFKC", html.unescape(spelled)).casefold()
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc") or c.isspace())
    prefix, colon, name = text.rpartition(":")
    faces = not _LETTER.search(name) or (prefix.strip() and not _LETTER.search(prefix))
    if not colon or faces:  # >:) has no prefix
        return Tag(_words(text) or text.strip())
    return Tag(_words(name), _words(prefix))


def is_adult(spelled: str) -> bool:
    """Whether a tag says that its picture is not for a general audience."""
    tag = parse(spelled)
    if tag.prefix == "rating":
        return tag.name not in GENERAL
    return tag.name in _ADULT


def adult(tags: str) -> list[str]:
    """Those of ``tags``, separated by spaces, that are not for a general audience."""
    return [tag for tag in tags.split() if is_adult(tag)]


class Wanted:
    """Tags that somebody named, to be found in whatever spelling a site has them.

    A prefix is compared only where both have one: ``ecchi`` finds ``Theme:Ecchi``, and
    ``theme:ecchi`` finds ``Ecchi``, but not ``Game:Ecchi``.
    """

    def __init__(self, named: Iterable[str]) -> None:
        self._named: dict[str, set[tuple[str, str]]] = {}  # name → prefixes, as it was spelled
        for spelled in named:
            tag = parse(spelled)
            self._named.setdefault(tag.name, set()).add((tag.prefix, spelled))

    def __bool__(self) -> bool:
        return bool(self._named)

    @property
    def named(self) -> set[str]:
        """All of them, as they were named."""
        return {spelled for meant in self._named.values() for _, spelled in meant}

    def found(self, tags: str) -> set[str]:
        """Those of them, as they were named, that are among ``tags``, separated by spaces."""
        return {name for spelled in tags.split() for name in self._meant(parse(spelled))}

    def _meant(self, tag: Tag) -> Iterator[str]:
        for prefix, spelled in self._named.get(tag.name, ()):
            if not prefix or not tag.prefix or prefix == tag.prefix:
                yield spelled


def _words(text: str) -> str:
    return _BREAKS.sub("_", text).strip("_:")
