"""What a tag says, however a site spells it: the one rule for every filter that looks at tags."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from crawl.texts import is_seen

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
        "nsfl",
        "lewd",
        "nudes",
        "semi_nude",
        "porn",
        "sex",
        "x_rated",
        "18+",
        *("r18", "r18+", "r18g", "r_18", "r_18+", "r_18g"),
        *("questionable", "sensitive"),  # ratings that a site has among its tags
    }
)
_NOT = frozenset({"no", "none", "false", "0"})  # nsfw:no
GENERAL = frozenset({"g", "general", "s", "safe"})  # ratings, as sites and tags spell them
_BREAKS = re.compile(r"[\s_-]+|(?<=[^\W_])\+(?=[^\W_])")  # a plus as in an address
_LETTER = re.compile(r"[^\W_]")
_ASSIGNED = re.compile(r"(?<=[^\W_])=(?=[^\W_])")
_SEVERAL = re.compile(r"[,;|\u3001\uff0c\uff1b]")  # between tags that stand in one
_AROUND = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb\u300c\u300d.,;#*~! \t\n"
_LONGEST = 200  # characters of a tag
_BRACKETS = re.compile(r"[\[({<]\s*(\w[^\[\](){}<>]+)\s*[\])}>]")


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
    other widths are the same letters, HTML's ``&#58;`` and an address's ``%3A`` are colons, and
    characters that nobody sees are none, nor is what a list has around its words.
    """
    text = unicodedata.normalize("NFKC", _unescaped(spelled)).casefold()
    text = _ASSIGNED.sub(":", "".join(filter(is_seen, text)))
    if _LETTER.search(text):
        bare = text.strip(_AROUND)
        within = _BRACKETS.fullmatch(bare[:_LONGEST])
        text = within[1] if within else bare if len(bare) > 1 else text  # ;d is a face
    prefix, colon, name = text.rpartition(":")
    faces = not _LETTER.search(name) or (prefix.strip() and not _LETTER.search(prefix))
    if not colon or faces:  # >:) has no prefix
        return Tag(_words(text) or text.strip())
    return Tag(_words(name), _words(prefix))


def is_adult(spelled: str) -> bool:
    """Whether a tag, or one of several in it, says that its picture is not for a general
    audience.
    """
    return any(_is_adult(tag) for tag in _several(spelled))


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
        parsed = (tag for spelled in tags.split() for tag in _several(spelled))
        return {name for tag in parsed for name in self._meant(tag)}

    def _meant(self, tag: Tag) -> Iterator[str]:
        for prefix, spelled in self._named.get(tag.name, ()):
            if not prefix or not tag.prefix or prefix == tag.prefix:
                yield spelled


def _is_adult(tag: Tag) -> bool:
    if tag.prefix == "rating":
        return tag.name not in GENERAL
    named = tag.name.removeprefix("rating_")
    return named in _ADULT or (tag.prefix in _ADULT and tag.name not in _NOT)


def _several(spelled: str) -> list[Tag]:
    """The tag, and those that it has between commas."""
    parts = [part for part in _SEVERAL.split(html.unescape(spelled)) if part.strip("_ ")]
    return [parse(part) for part in ([spelled, *parts] if len(parts) > 1 else [spelled])]


def _unescaped(text: str) -> str:
    """Without HTML's and addresses' ways to write a letter, also where one is within another."""
    for _ in range(3):
        plain = unquote(html.unescape(text), errors="ignore")
        if plain == text:
            break
        text = plain
    return text


def _words(text: str) -> str:
    return _BREAKS.sub("_", text).strip("_:")
