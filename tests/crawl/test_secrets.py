"""Credentials in URLs: found, refused, taken out, hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl import secrets
from crawl.errors import CrawlError
from crawl.outcomes import FetchError, Outcome
from crawl.posts import Post
from crawl.secrets import bare, credential_in, redact
from crawl.sources.base import _without_secrets, parse_source
from crawl.sources.listing import ListedPage

KEY = "c4narySECRET"
NAMES = [
    "api_key", "apikey", "api-key", "API_KEY", "apiKey", "access_token", "token", "auth_token",
    "auth", "password", "passwd", "pwd", "pass", "secret", "client_secret", "access_key", "sid",
    "session_id", "PHPSESSID", "X-Amz-Signature", "X-Amz-Credential", "sig", "api%5Fkey", "jwt",
]  # fmt: skip
WITH = [
    *(f"https://a.example/x.png?{name}={KEY}" for name in NAMES),
    f"https://a.example/x.png?a=1&token={KEY}&b=2",
    f"https://a.example/#access_token={KEY}",
    f"https://a.example/x?a=1;token={KEY}",
    f"http://user:{KEY}@a.example/x",
    f"HTTP://{KEY}@a.example/x",
    f"postgresql://mlflow:{KEY}@db:5432/runs",
    f"tcp://me:{KEY}@host:8786",
]
WITHOUT = [
    "https://a.example/x.png?author=me&tokens=3&page=2&monkey=1&passage=4&md5=ab",
    "https://a.example/@user/1.png",
    "https://a.example/x?mail=me@b.example",
    "file:data/a.zip#token=1.png",
    "1girl token=x",
    "https://a.example/x?token=",
    "",
]


@pytest.mark.parametrize("url", WITH)
def test_what_is_one_is_found_refused_taken_out_and_hidden(url: str) -> None:
    assert credential_in(url) and KEY not in credential_in(url)
    assert KEY not in bare(url) and not credential_in(bare(url))
    assert KEY not in redact(f"cannot read {url}: no")
    with pytest.raises(CrawlError, match="no credential stands in params") as caught:
        parse_source({"name": "a", "type": "gallery", "url": url})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", WITHOUT)
def test_what_is_none_is_left_as_it_is(url: str) -> None:
    assert credential_in(url) == "" and bare(url) == url


def test_the_rest_of_the_url_stays() -> None:
    assert bare(f"https://u:{KEY}@a.example:8/x%20y?a=1&token={KEY}&b=%2F#f") == (
        "https://a.example:8/x%20y?a=1&b=%2F#f"
    )


@given(st.text(), st.sampled_from(WITH))
def test_any_text_is_cleaned(text: str, url: str) -> None:
    assert KEY not in redact(f"{text} {url} {text}")
    bare(text)
    credential_in(text)


def test_a_key_of_the_environment_is_hidden_wherever_it_turns_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secrets, "_values", set())
    secrets.remember("k3y/of+me", "12")
    assert redact("k3y/of+me k3y%2Fof%2Bme 12") == "*** *** 12"
    assert FetchError(Outcome.GAVE_UP, "to /k3y/of+me").reason == "to /***"


def test_a_post_is_stored_without() -> None:
    post = Post(url=WITH[0], source="a", post_id="1", source_link=WITH[-4], tags="a token=b")
    page = ListedPage(WITH[0], [post])
    (stored,) = _without_secrets(page).entries
    assert KEY not in _without_secrets(page).url and isinstance(stored, Post)
    assert stored.url == "https://a.example/x.png" and KEY not in repr(stored)
    assert stored.tags == post.tags
