from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from model.certificate import (
    Case,
    Certificate,
    binomial_tail,
    judged_routes,
    learn_then_test,
    promised_certainty,
)
from model.errors import ArtifactError
from model.policy import UNSURE, ReviewPolicy
from model.records import Comment
from model.taxonomy import Taxonomy, load_taxonomy
from tests.model.test_certainty import ROUTER, SHOP, beliefs, decided

RISK = 0.05


def drawn(count: int, *, seed: int = 1) -> list[Case]:
    """Return cases of late deliveries that are what they seem as often as the model believes."""
    rng = np.random.default_rng(seed)
    cases = []
    for n, chance in enumerate(rng.uniform(0.55, 1, count) ** 0.15):
        said = decided(beliefs([("delivery.speed", "negative", chance)], feeling=(1.0, 0.0, 0.0)))
        right = said if rng.random() < chance else replace(said, labels=())
        cases.append(
            Case(comment=Comment(id=str(n), text="geheim", score=4), said=said, right=right)
        )
    return cases


def test_a_certificate_is_read_as_it_was_written_and_holds_no_text(tmp_path):
    cases = drawn(40)
    Certificate.of(cases, taxonomy=SHOP).write(tmp_path / "certificate.npz")
    assert b"geheim" not in (tmp_path / "certificate.npz").read_bytes()
    found = Certificate.read(tmp_path / "certificate.npz").cases(SHOP)
    want, right = judged_routes(cases, router=ROUTER, taxonomy=SHOP)
    got, also_right = judged_routes(found, router=ROUTER, taxonomy=SHOP)
    assert also_right == right
    assert got == pytest.approx(want, abs=2e-3)
    assert {case.comment.text for case in found} == {""}
    assert [case.comment.score for case in found] == [4] * 40


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive at all"])
def test_a_file_that_is_no_certificate_is_named(content, tmp_path):
    path = tmp_path / "certificate.npz"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"certificate\.npz: cannot be read"):
        Certificate.read(path)


def test_arrays_that_do_not_fit_each_other_are_named(tmp_path):
    certificate = Certificate.of(drawn(10), taxonomy=SHOP)
    certificate.arrays["signals"] = certificate.arrays["signals"][:5]
    certificate.write(tmp_path / "certificate.npz")
    with pytest.raises(ArtifactError, match="signals has the shape"):
        Certificate.read(tmp_path / "certificate.npz")


def test_the_promise_is_kept_on_further_comments_as_often_as_it_says():
    kept, runs = 0, 200
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        sure = rng.uniform(0.55, 1, 20_800) ** 0.3
        # More is believed than is so, and not everywhere by as much.
        right = rng.random(len(sure)) < sure - 0.02 * rng.random(len(sure))
        least = learn_then_test(sure[:800].tolist(), right[:800].tolist(), risk=RISK)
        taken = right[800:][sure[800:] >= (2 if least is None else least)]
        kept += not len(taken) or 1 - taken.mean() <= RISK
    # .9 is promised; fewer than 169 of 200 would come by chance once in a hundred times.
    assert kept >= 169


def test_more_risk_lets_more_routes_go_without_a_look():
    certainties, right = judged_routes(drawn(300), router=ROUTER, taxonomy=SHOP)
    careful = learn_then_test(certainties, right, risk=0.03)
    bold = learn_then_test(certainties, right, risk=0.2)
    assert bold is not None
    assert careful is None or bold < careful


def test_nothing_is_promised_where_even_the_surest_are_often_wrong():
    sure = [0.99] * 100
    assert learn_then_test(sure, [n % 3 > 0 for n in range(100)], risk=RISK) is None
    assert learn_then_test(sure, [True] * 100, risk=RISK) == 0.99
    assert learn_then_test([], [], risk=RISK) is None


@pytest.mark.parametrize(("most", "count", "chance"), [(0, 45, 0.05), (3, 10, 0.4), (7, 7, 0.9)])
def test_the_binomial_tail_is_the_sum_of_its_parts(most, count, chance):
    rng = np.random.default_rng(3)
    found = (rng.binomial(count, chance, 200_000) <= most).mean()
    assert binomial_tail(most, count, chance) == pytest.approx(found, abs=0.005)
    assert math.isclose(binomial_tail(count, count, chance), 1.0)


def test_the_binomial_tail_is_to_be_had_for_any_number_of_comments():
    assert binomial_tail(2_500, 50_000, 0.05) == pytest.approx(0.5, abs=0.01)


def test_routes_that_are_not_sure_enough_are_flagged_and_others_are_not():
    policy = ReviewPolicy.load(
        Certificate.of(drawn(400), taxonomy=SHOP),
        router=ROUTER,
        taxonomy=SHOP,
        languages=("de", "en"),
        risk=RISK,
    )
    assert policy.least is not None
    assert 0.6 < policy.least < 1
    said = [
        decided(beliefs([("delivery.speed", "negative", chance)], feeling=(1.0, 0.0, 0.0)))
        for chance in (policy.least - 0.05, 0.999)
    ]
    comments = [Comment(id=str(n), text="x", score=2) for n in range(2)]
    routes = [ROUTER.route(p, c) for p, c in zip(said, comments, strict=True)]
    assert policy.reasons(said, comments, routes) == [(UNSURE,), ()]


def test_a_model_that_was_never_certified_promises_nothing_and_flags_no_doubt():
    policy = ReviewPolicy.load(
        None, router=ROUTER, taxonomy=SHOP, languages=("de", "en"), risk=RISK
    )
    said = decided(beliefs([("delivery.speed", "negative", 0.51)]))
    comment = Comment(id="a", text="x", score=9)
    assert policy.reasons([said], [comment], [ROUTER.route(said, comment)]) == [()]


def test_where_nothing_can_be_promised_every_route_is_flagged():
    wrong = [replace(case, right=replace(case.right, labels=())) for case in drawn(100)]
    policy = ReviewPolicy.load(
        Certificate.of(wrong, taxonomy=SHOP),
        router=ROUTER,
        taxonomy=SHOP,
        languages=("de", "en"),
        risk=RISK,
    )
    said = decided(beliefs([("delivery.speed", "negative", 1.0)]))
    comment = Comment(id="a", text="x")
    assert policy.reasons([said], [comment], [ROUTER.route(said, comment)]) == [(UNSURE,)]


def test_a_certificate_of_other_labels_promises_nothing():
    shop = load_taxonomy()
    other = Taxonomy(
        **{
            name: (
                {k: v for k, v in shop.labels.items() if k != "price.payout"}
                if name == "labels"
                else getattr(shop, name)
            )
            for name in shop.__dataclass_fields__
        }
    )
    certificate = Certificate.of(drawn(100), taxonomy=SHOP)
    assert not certificate.fits(other)
    found = promised_certainty(
        certificate, router=ROUTER, taxonomy=other, languages=("de",), risk=RISK
    )
    assert found is None
