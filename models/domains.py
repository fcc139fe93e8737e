"""The two domains and the two directions between them: names used by every module."""

DOMAINS = ("photos", "anime")

# direction -> (source, target)
DIRECTIONS = {"photos2anime": ("photos", "anime"), "anime2photos": ("anime", "photos")}


def other(domain: str) -> str:
    """The domain that `domain` is translated to: "photos" ↔ "anime"."""
    return "anime" if domain == "photos" else "photos"
