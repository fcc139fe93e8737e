"""What the result page calls things, and what their best values are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.figures.html import number

ONE = {"photos": "photo", "anime": "anime picture"}  # of a domain
MANY = {"photos": "photos", "anime": "anime pictures"}


@dataclass(frozen=True)
class Measure:
    """A column of the leaderboard in words."""

    title: str
    perfect: str = "as real"
    share: bool = False  # told in per cent

    @property
    def told(self) -> Callable[[float], str]:
        """Prints a value."""
        return (lambda value: f"{value:.0%}") if self.share else number


MEASURES = {
    "kid": Measure("KID: distance from real pictures", "0"),
    "found": Measure("A face is found", share=True),
    "kept": Measure("Labels kept, mean", "100%", share=True),
    "well_formed": Measure("Faces shaped as real ones are", "95%", share=True),
    "shape": Measure("Distance of shapes from real ones (small: 10 to 90% of faces)"),
    "hair_distance": Measure("Change of hair colour (ΔE)", "0"),
    "eyes_distance": Measure("Change of eye colour (ΔE)", "0"),
    "yaw_kept": Measure("Turn of the head kept (rank correlation)", "1"),
    "mouth_open_kept": Measure("Opening of the mouth kept (rank correlation)", "1"),
    "fid": Measure("FID: another distance", "0"),
    "told_apart": Measure("Told apart from real ones by a classifier (AUC)", "0.5"),
    "diversity": Measure("Variety, in that of real pictures", "1"),
    "memorised": Measure("Suspiciously near to a training picture", "5%", share=True),
    "hair_by_colour": Measure("Hair kept, by colour alone", "100%", share=True),
    "cycle_l1": Measure("Change after the way there and back, of 1", "0"),
}
FIRST = ("kid", "found", "kept")  # then the labels kept one by one
CHECKS = {
    "beats_untrained": "nearer to real pictures than before training",
    "beats_copy": "nearer to real pictures than the input is",
    "shows_faces": "shows faces of the target more often than the input does",
    "keeps_labels_better_than_shuffled": "keeps labels better than chance",
}
STAGES = {
    "discover": "Which posts the sources offer.",
    "crawl": "What was downloaded.",
    "faces": "What was cut out of the crawled pictures, brought to one size and place.",
    "dedupe": "Repeated pictures, found and removed.",
    "celeba": "Photos filtered by label, brought to the same size and place.",
    "split": "Training, validation and test.",
    "recognizer": "The attribute networks: one for losses, one that only evaluates.",
}
SHEETS = {  # stage/picture, and what is seen there
    "faces/kept": "A hundred of the pictures that were kept",
    "faces/rejected": "Pictures that were rejected, each with the reason below it",
    "dedupe/duplicates": "Pairs taken for the same picture, the least certain first",
    "dedupe/different": "Pairs taken for different pictures, the most alike first",
    "celeba/kept": "A hundred of the photos that were kept",
}
CURVES = {
    "lr": "Learning rate",
    "kid_photos2anime": "KID of held-out photos as anime (less is better)",
    "kid_anime2photos": "KID of held-out anime as photos (less is better)",
    "cycle_l1_photos": "Change of held-out photos after the way there and back",
    "cycle_l1_anime": "Change of held-out anime after the way there and back",
    "discriminator_photos": "Loss of the network that judges photos",
    "discriminator_anime": "Loss of the network that judges anime",
}


def measure(name: str, labels: list[str]) -> Measure:
    """What a column is called; ``labels``: the attributes whose keeping is measured."""
    if name in MEASURES:
        return MEASURES[name]
    words = name.replace("_", " ")
    if name in labels:
        return Measure(f"{words.capitalize()} kept", "100%", share=True)
    kind, _, space = name.partition("_")
    if kind in ("kid", "fid"):  # `Evaluator.quality` names the further spaces so
        return Measure(f"{kind.upper()} in the features of {space}", "0")
    return Measure(words.capitalize())


def curve(name: str) -> str:
    """The title of a curve of training."""
    return CURVES.get(name, f"Loss: {name.replace('_', ' ')}")
