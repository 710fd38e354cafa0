"""Data sets that are computed: the same from the same seed, what they say of themselves, and what they hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infoplane.data.samples import Samples
from infoplane.data.sets import blobs, digits, digits_x2, tone_words, two_sources

NOWHERE = Path("nowhere")


def loaded(module: Any, **options: Any) -> Samples:
    found: Samples = module.load(module.Options(**options), NOWHERE)
    return found


@pytest.mark.parametrize("module", [blobs, tone_words, two_sources], ids=lambda one: one.__name__.rpartition(".")[2])
def test_the_seed_decides(module: Any) -> None:
    first, again, other = (loaded(module, size=60, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first["x"], again["x"]) and np.array_equal(first["y"], again["y"])
    assert not np.array_equal(first["x"], other["x"])


def test_clouds_are_round_and_where_they_should_be() -> None:
    found = loaded(blobs, size=6000, classes=2, clouds=3, deviation=0.1)
    x, y = np.asarray(found["x"]), np.asarray(found["y"])
    assert np.bincount(y).tolist() == [3000, 3000]
    angles = np.round(np.arctan2(x[:, 1], x[:, 0]) / (np.pi / 3)).astype(int) % 6
    assert np.array_equal(angles % 2, y) and np.bincount(angles).tolist() == [1000] * 6  # the classes in turn
    for cloud in range(6):
        inside = x[angles == cloud]
        centre = np.cos(cloud * np.pi / 3), np.sin(cloud * np.pi / 3)
        np.testing.assert_allclose(inside.mean(0), centre, atol=0.02)
        np.testing.assert_allclose(np.cov(inside.T), 0.01 * np.eye(2), atol=0.002)


def test_a_small_digit_is_the_mean_of_every_four_pixels() -> None:
    found, given = loaded(digits_x2), loaded(digits)
    assert np.array_equal(found["y"], given["x"]) and np.array_equal(found["digit"], given["y"])
    x, y = np.asarray(found["x"]), np.asarray(found["y"], np.float64) / 255
    assert x[5, 0, 1, 2] == pytest.approx(y[5, 0, 2:4, 4:6].mean()) and x.max() <= 1
    np.testing.assert_allclose(x.mean(), y.mean(), rtol=1e-5)


def test_a_mixture_is_the_sum_of_two_equally_loud_sources() -> None:
    found = loaded(two_sources, size=50, length=400)
    x, y = np.asarray(found["x"]), np.asarray(found["y"])
    assert x.shape == (50, 1, 400) and y.shape == (50, 2, 400)
    np.testing.assert_allclose(x, y.sum(1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(y.mean(2), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(2), 1, atol=1e-5)
    tones = np.abs(np.fft.rfft(y[:, 0])) ** 2
    pitch = np.fft.rfftfreq(400, 1 / two_sources.RATE)[tones.argmax(1)]
    low, high = two_sources.PITCH
    assert (pitch >= low - 15).all() and (pitch <= high + 15).all()
    assert np.abs(y[:, 1]).max(1).min() > 2  # clicks stand out, tones do not
    assert np.abs(y[:, 0]).max() < 4


def test_words_are_melodies_and_no_two_are_equal() -> None:
    assert len(set(tone_words.WORDS)) == 12 and tone_words.WORDS[0] == "low-middle-low"
    found = loaded(tone_words, size=24, classes=12)
    assert np.bincount(np.asarray(found["y"])).tolist() == [2] * 12
    assert found.names["y"] == tone_words.WORDS and found["x"].shape == (24, 1, 20, 32)


def test_a_steady_tone_is_loudest_in_its_own_band() -> None:
    bands = tone_words.mel_bands()
    time = np.arange(tone_words.LENGTH) / tone_words.RATE
    for frequency in (300.0, 600.0, 1200.0):
        spectrum = tone_words.log_mel(np.sin(2 * np.pi * frequency * time))
        nearest = int(bands[:, round(frequency * tone_words.WINDOW / tone_words.RATE)].argmax())
        assert abs(int(np.median(spectrum.argmax(0))) - nearest) <= 1
    inner = bands[:, 2:-8].sum(0)  # triangles that overlap by half add up to 1 between the first and the last top
    assert bands.min() == 0 and inner.max() < 1.01


def test_the_melody_is_heard_without_noise() -> None:
    """The loudest band rises and falls as the word says."""
    random = np.random.default_rng(0)
    for word in ("low-middle-high", "high-low-high"):
        spectrum = tone_words.log_mel(tone_words.spoken(random, word, 0.0))
        loud = spectrum.max(0) > spectrum.max() - 3
        heard = spectrum.argmax(0)[loud]
        order = [tone_words.TONES[tone] for tone in word.split("-")]
        assert (heard[0] < heard[-1]) == (order[0] < order[-1]) or order[0] == order[-1]
        assert heard.min() < heard.max()


WRONG = [
    (blobs, {"classes": 1}, "classes must be at least 2, got 1"),
    (blobs, {"deviation": 0}, "deviation must be above 0"),
    (blobs, {"clouds": 0}, "clouds must be at least 1"),
    (tone_words, {"classes": 13}, "classes must be from 2 to 12, got 13"),
    (tone_words, {"noise": -1}, "noise must be at least 0"),
    (two_sources, {"length": 10}, "length must be at least 64 samples, got 10"),
    (two_sources, {"seed": -1}, "seed must be at least 0"),
]


@pytest.mark.parametrize(("module", "options", "said"), WRONG, ids=[said for *_, said in WRONG])
def test_options_that_make_no_sense(module: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        module.Options(**options)
