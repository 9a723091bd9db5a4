"""Fixtures: a tiny run that several tests read."""

import pytest

import pada

#: A run of about a second: 128 images, ten architectures, no fusion.
TINY = {
    "train": {"epochs": 1},
    "data": {"train_images": 128},
    "rank": {"images": 100, "archs": "random:10", "fuse": []},
}


@pytest.fixture(scope="session")
def tiny():
    return TINY


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tiny"
    return pada.train(TINY, seed=3, out=out, device="cpu", progress=False)
