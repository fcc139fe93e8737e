"""Faces of pictures as anime faces, and back, from Python: `docs/use.md` and `docs/tour.ipynb`.

    import face2anime

    drawn = face2anime.translate("portrait.jpg").face.picture

This is the public interface: what `__all__` names stays as it is, whatever changes below.
"""

from face2anime.api import Error, Face, Model, Picture, Translation, load, translate

__all__ = ["Error", "Face", "Model", "Picture", "Translation", "load", "translate"]
