"""Nothing that belongs together is parted, and added data moves nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline.core import tables, yaml_files
from pipeline.core.errors import StageError
from pipeline.core.params import Split
from pipeline.core.paths import CARDS
from pipeline.duplicates import hashes
from pipeline.imaging.attributes import ATTRIBUTES
from pipeline.split import __main__ as split
from pipeline.split import assign

SETTINGS = Split(val=0.2, test=0.2, seed=3, near_bits=40)
NAMED = ["first", "second"]


def noise(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (32, 32))


def row(rgb: np.ndarray, number: int, **values) -> dict:
    return {
        "id": hashlib.sha256(rgb.tobytes()).hexdigest(),
        "image": {"bytes": tables.encode_png(rgb), "path": None},
        **dict.fromkeys(ATTRIBUTES, "unknown"),
        **{"file": f"{number:06d}.jpg", "identity": number // 2},
        **{"source": "a", "url": f"u{number}", "post_id": str(number // 3), "raw_id": str(number)},
        **dict.fromkeys(["box_x", "box_y", "box_w", "box_h"], 1.0),
        **dict.fromkeys(["left_x", "left_y", "right_x", "right_y"], 1.0),
        **{"cluster": str(number), "licence": "CC0-1.0", "batch": number // 50},
    } | values


def rows(count: int, start: int = 0) -> pd.DataFrame:
    return pd.DataFrame([row(noise(number), number) for number in range(start, start + count)])


def sides(
    table: pd.DataFrame, domain: str = "photos", settings: Split = SETTINGS
) -> dict[str, str]:
    parts = assign.split_domain(table, domain, settings, workers=1)
    return {key: name for name, part in parts.items() for key in part["id"]}


@pytest.mark.parametrize(("domain", "key"), [("photos", ["identity"]), ("anime", ["post_id"])])
def test_a_person_or_a_post_is_on_one_side(domain: str, key: list[str]) -> None:
    parts = assign.split_domain(rows(120), domain, SETTINGS, workers=1)
    assert sum(map(len, parts.values())) == 120
    owners = [set(part[key].itertuples(index=False, name=None)) for part in parts.values()]
    assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]


def blurred(number: int) -> np.ndarray:
    """A near-duplicate of ``noise(number)``, mirrored for odd numbers."""
    soft = cv2.GaussianBlur(noise(number), (0, 0), 0.5)
    return np.ascontiguousarray(soft[:, ::-1]) if number % 2 else soft


def with_copies(count: int, every: int = 3) -> pd.DataFrame:
    """Rows, and for each third one a near-duplicate that belongs to somebody else."""
    copies = [row(blurred(n), 10_000 + 6 * n) for n in range(0, count, every)]
    return pd.concat([rows(count), pd.DataFrame(copies)], ignore_index=True)


@pytest.mark.parametrize("domain", ["photos", "anime"])
def test_no_near_duplicate_and_no_owner_straddles_by_brute_force(domain: str) -> None:
    table = with_copies(150)
    side = sides(table, domain)
    bits = hashes.sign(list(table["image"]), 1, "test").bits
    names = table["id"].map(side).to_numpy()
    owner = table["identity" if domain == "photos" else "post_id"].to_numpy()
    close, owned, gone, turns = 0, 0, 0, [(0, 0), (0, 1), (1, 0)]
    for one in range(len(table)):
        for other in range(one + 1, len(table)):
            near = min((bits[one, a] ^ bits[other, b]).sum() for a, b in turns)
            missing = pd.isna(names[one]) + pd.isna(names[other])
            if near <= SETTINGS.near_bits:
                close, gone = close + 1, gone + missing
                assert missing == 1 or names[one] == names[other]
            if owner[one] == owner[other]:
                owned += 1
                assert missing or names[one] == names[other]
    assert close >= 50 and owned >= 75
    # Nothing goes without its reason: just one of each pair whose owners fell to two splits.
    assert gone == pd.isna(names).sum() and 5 < gone < 40


def test_no_pair_of_variants_straddles_by_brute_force() -> None:
    table = rows(120)
    rng = np.random.default_rng(2)
    ids = table["id"].to_numpy()
    related = pd.DataFrame(ids[rng.permutation(120)[:80]].reshape(-1, 2), columns=NAMED)
    related.loc[len(related)] = [ids[0], "0" * 64]  # its like was excluded, or not drawn
    free, parts = (
        assign.split_domain(table, "anime", SETTINGS, 1, pairs) for pairs in (None, related)
    )
    before, after = (
        {key: name for name, part in result.items() for key in part["id"]}
        for result in (free, parts)
    )
    straddled = 0
    for first, second in related.itertuples(index=False):
        straddled += before[first] != before.get(second, before[first])
        if first in after and second in after:
            assert after[first] == after[second]
    assert straddled > 5 and len(after) == 120 - straddled
    assert all(before[key] == name for key, name in after.items())
    assert len(after_sample := sides_of_sample(table, related)) <= 60
    assert all(
        after_sample.get(first) == after_sample.get(second)
        for first, second in related.itertuples(index=False)
        if first in after_sample and second in after_sample
    )


def sides_of_sample(table: pd.DataFrame, related: pd.DataFrame) -> dict[str, str]:
    settings = SETTINGS.model_copy(update={"max_per_domain": 60})
    parts = assign.split_domain(table, "anime", settings, 1, related)
    return {key: name for name, part in parts.items() for key in part["id"]}


NO_PAIRS = np.zeros((0, 2), int)


def test_of_a_pair_in_two_splits_the_row_nearer_to_training_goes() -> None:
    names = ["train", "val", "test", "train", "val", "test"]
    pairs, own = np.array([(0, 2), (4, 1), (1, 5), (3, 1), (0, 3)]), np.arange(6)
    # Row 1 goes for test's copy, and drives neither row 3 of train out nor row 4 of val.
    for near, related in ((pairs, NO_PAIRS), (NO_PAIRS, pairs), (pairs[:2], pairs[2:])):
        assert assign.left_out(names, own, near, related).nonzero()[0].tolist() == [0, 1]
    assert not assign.left_out(names, own, NO_PAIRS, NO_PAIRS).any()


@pytest.mark.parametrize("seed", range(20))
def test_rows_of_one_hash_are_pairs_that_nobody_lists(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = rng.choice(assign.SPLITS, 30, p=[0.7, 0.2, 0.1]).tolist()
    alike = np.append(np.arange(12), rng.integers(0, 12, 18))
    near, related = rng.integers(0, 12, (4, 2)), rng.integers(0, 30, (4, 2))
    close = {tuple(sorted(pair)) for pair in near.tolist()}
    listed = [
        (i, j)
        for j in range(30)
        for i in range(j)
        if alike[i] == alike[j] or tuple(sorted((alike[i], alike[j]))) in close
    ]
    pairs = np.concatenate([np.array(listed), related])
    expected = assign.left_out(names, np.arange(30), NO_PAIRS, pairs)
    np.testing.assert_array_equal(assign.left_out(names, alike, near, related), expected)


def test_a_placeholder_that_stands_for_many_pictures_is_one_hash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = rows(40)
    table["image"] = [table["image"][0]] * 38 + list(table["image"][38:])
    asked: list[int] = []
    near_pairs = hashes.near_pairs

    def counted(signatures: hashes.Signatures, *bits: int) -> pd.DataFrame:
        asked.append(len(signatures.bits))
        return near_pairs(signatures, *bits)

    monkeypatch.setattr(hashes, "near_pairs", counted)
    monkeypatch.setattr(assign, "FEWEST", dict.fromkeys(assign.SPLITS, 0))
    parts = assign.split_domain(table, "photos", SETTINGS, 1)
    assert asked == [3]
    copies = {
        name: sum(key in set(table["id"][:38]) for key in part["id"])
        for name, part in parts.items()
    }
    assert sum(count > 0 for count in copies.values()) == 1


@pytest.mark.parametrize("domain", ["photos", "anime"])
def test_added_data_moves_nothing(domain: str) -> None:
    before = sides(rows(100), domain)
    grown = pd.concat([rows(100), rows(200, start=100)], ignore_index=True).sample(frac=1)
    after = sides(grown, domain)
    assert len(after) == 300
    assert {key: after[key] for key in before} == before


@pytest.mark.parametrize("first", ["old", "copies"])
def test_added_near_duplicates_move_nothing_and_test_loses_nothing(first: str) -> None:
    both = with_copies(150)
    old = both[:150] if first == "old" else both[150:].reset_index(drop=True)
    before, after = sides(old), sides(both)
    assert {after[key] for key in after} == set(assign.SPLITS)
    assert all(after.get(key, name) == name for key, name in before.items())
    lost = [name for key, name in before.items() if key not in after]
    assert "test" not in lost and 0 < len(lost) < 0.3 * len(before)


def test_order_and_seed() -> None:
    table = rows(100)
    assert sides(table) == sides(table[::-1])
    assert sides(table) != sides(table, settings=SETTINGS.model_copy(update={"seed": 4}))


def test_shares_are_those_asked_for() -> None:
    names = [assign.assign(str(key), SETTINGS) for key in range(20000)]
    for name, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        assert names.count(name) / len(names) == pytest.approx(share, abs=0.01)


def test_a_sample_is_deterministic_and_a_larger_one_contains_it() -> None:
    small = sides(rows(100), settings=SETTINGS.model_copy(update={"max_per_domain": 60}))
    large = sides(rows(100)[::-1], settings=SETTINGS.model_copy(update={"max_per_domain": 80}))
    assert len(small) == 60 and len(large) == 80 and set(small) < set(large)


@pytest.mark.parametrize(
    ("domain", "advice"), [("photos", "celeba.limit"), ("anime", "demo.faces")]
)
def test_too_few_faces_is_told_with_what_to_change(domain: str, advice: str) -> None:
    with pytest.raises(StageError) as error:
        sides(rows(4), domain)
    message = str(error.value)
    assert f"of 4 {domain} images fall to" in message and advice in message
    assert "\n" not in message


def test_main_writes_three_splits_of_both_domains(tmp_path, monkeypatch, fake_run) -> None:
    monkeypatch.chdir(tmp_path)
    tables.write_frame(split.PHOTOS, "photos", rows(60))
    tables.write_frame(split.ANIME, "anime", rows(90, start=500))
    ids = rows(90, start=500)["id"].to_numpy()
    kept = {"first_kept": ids[1:2], "second_kept": ids[2:3]}  # both of one post
    tables.write_file(split.PAIRS, pd.DataFrame(kept | {"verdict": "variant"}))
    gone = {"photos": rows(60)["file"].iloc[0], "anime": rows(90, start=500)["raw_id"].iloc[0]}
    content = {
        "compute": {"workers": 1},
        "celeba": {"path": "somewhere", "keep": {}},
        "split": SETTINGS.model_dump(),
        "exclude": {"images": list(gone.values())},
    }
    Path("params.yaml").write_text(yaml_files.dumps(content))
    split.main()
    sizes = {"photos": 59, "anime": 89}
    for domain, size in sizes.items():
        parts = [
            tables.read_frame(split.OUT / name, name=domain) for name in ("train", "val", "test")
        ]
        assert sum(map(len, parts)) == size
        assert {"id", "image", *ATTRIBUTES, *assign.ORIGIN[domain]} <= set(parts[0].columns)
        assert sum(fake_run.logged[domain][name] for name in assign.SPLITS) == size
        assert fake_run.logged[domain]["excluded"] == 1
        assert fake_run.logged[domain]["left_out"] == 0
        assert not any(part.isin([gone[domain]]).any(axis=None) for part in parts)
    assert fake_run.logged["anime"]["related_pairs"] == 1
    assert len(list(split.SHEETS.glob("*.png"))) == 4
    for domain, size in sizes.items():
        assert f"# {domain}: {size} aligned faces" in (CARDS / domain / "README.md").read_text()
