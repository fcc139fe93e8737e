"""The crawl benchmark works; what it measures is for ``make bench``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import crawling
from tests.bench.crawl_clients import OURS
from tests.bench.image_server import image_server, jpeg


def test_the_busiest_second_leaves_out_its_end() -> None:
    assert crawling.busiest_second([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]) == 5
    assert crawling.busiest_second([0.0, 0.2, 0.4, 0.6, 0.8, 0.99, 5.0]) == 6


def test_request_rate_counts_the_gaps() -> None:
    assert crawling.request_rate([10.0, 10.2, 10.4, 10.6]) == pytest.approx(5.0)


def test_our_command_brings_the_servers_images_unaltered(tmp_path: Path) -> None:
    with image_server(120) as server:
        crawling.write_inputs(server, tmp_path)
        out = tmp_path / "out"
        done = crawling.run(server, OURS.command(tmp_path, out), tmp_path)
    assert sorted(OURS.images(out)) == sorted(jpeg(number) for number in range(120))
    assert len(done.report.arrivals) == 121  # robots.txt, then each image once
    assert done.peak > 10
    assert done.cpu > 0


def test_a_client_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with image_server(1) as server:
        command = ["sh", "-c", "echo no luck; exit 3"]
        with pytest.raises(RuntimeError, match=r"(?s)ended with 3.*no luck"):
            crawling.run(server, command, tmp_path)
