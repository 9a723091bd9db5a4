import pickle

import pytest

import pada

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"


def test_texts_and_lists_are_the_same_architecture():
    space = pada.spaces.nb201()
    arch = space.parse(CELL)
    assert str(arch) == "334131" and space.format(arch) == CELL
    assert space.parse("334131") == space.parse([3, 3, 4, 1, 3, 1]) == pada.Arch("334131") == arch
    assert list(arch) == list(arch.choices) == [3, 3, 4, 1, 3, 1] and len(arch) == 6 and arch[-1] == 1
    assert {arch: "key"}[pada.Arch([3, 3, 4, 1, 3, 1])] == "key"
    assert pickle.loads(pickle.dumps(arch)) == arch
    assert arch.distance("334130") == 1 and arch.count(3) == 3 and str(arch.with_choice(0, 0)) == "034131"
    assert sorted([pada.Arch("20"), pada.Arch("10")])[0] == pada.Arch("10")
    with pytest.raises(IndexError):
        arch[6]


def test_a_space_describes_itself():
    space = pada.spaces.nb201()
    assert (space.name, space.n_ops, len(space)) == ("nb201", [5] * 6, 15625)
    assert space.op_names == ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    first = [arch for _, arch in zip(range(7), space)]
    assert [str(arch) for arch in first] == ["000000", "000001", "000002", "000003", "000004", "000010", "000011"]
    assert len(space.neighbours("333333")) == 24
    assert space.active("300303") == [False, False, False, True, False, False] and all(space.active("333333"))
    assert "333333" in space and "533333" not in space and "33333" not in space
    # Two cells of 14 edges with 8 operations, whose nodes choose 2 of 2, 3, 4 and 5 inputs; 21 layers, of which 15 can be skipped.
    assert pada.spaces.darts().size == (8**14 * 1 * 3 * 6 * 10) ** 2
    assert all([pada.spaces.darts(), pada.spaces.proxyless(), space])
    assert len(pada.spaces.nas_bench_macro()) == 3**8 and pada.spaces.proxyless().size == 6**6 * 7**15


def test_the_same_seed_draws_the_same():
    space = pada.spaces.nb201()
    rng = pada.Rng(5)
    drawn = [space.sample(rng) for _ in range(3)]
    assert drawn[0] == space.sample(5) and len(set(drawn)) == 3
    child = space.mutate(drawn[0], 0.5, rng=2)
    assert child == space.mutate(str(drawn[0]), 0.5, 2) and child in space
    assert space.mutate(drawn[0], 0.0) == drawn[0]
    mixed = space.crossover("000000", "333333", 1)
    assert set(mixed) == {0, 3}
    assert space.sample() in space


def test_costs_are_those_of_the_benchmark():
    space = pada.spaces.nb201()
    params, macs = space.cost("333333")
    assert (params, macs) == space.cost([3] * 6, channels=16, cells=5)
    # NAS-Bench-201's own number for this cell is 1.531546 M parameters.
    assert params == 1_531_546
    small = space.cost("333333", channels=8, cells=1)
    assert small.params < params and small.macs < macs
    assert pada.spaces.darts().cost("DARTS_V2").params == pytest.approx(3.35e6, rel=0.01)
    with pytest.raises(pada.InputError, match="at most 4,096"):
        space.cost("333333", channels=5000)


def test_parts_of_a_space():
    part = pada.spaces.nb201().sub_space(["nor_conv_3x3", "skip_connect"])
    assert part.size() == 64 and part.allowed == [[1, 3]] * 6
    assert "313131" in part and "012345" not in part
    narrow = part.restrict(0, [3])
    assert narrow.size() == 32 and all(narrow.sample(rng)[0] == 3 for rng in range(5))
    assert narrow.mutate("313131", 1.0, 0) in narrow
    own = pada.spaces.sub_space([3, 2])
    assert own.allowed == [[0, 1, 2], [0, 1]]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda s: s.parse("933333"), "is not an operation of nb201 at decision 0"),
        (lambda s: s.parse([3] * 5), "has 5 decisions, but nb201 has 6"),
        (lambda s: s.parse(3.5), "is not an architecture"),
        (lambda s: s.mutate("333333", 7.0), "the mutation rate is 7"),
        (lambda s: s.sample("seed"), "is no pada.Rng and no seed"),
        (lambda s: s.sub_space(["conv"]), '"conv" is not an operation of nb201'),
        (lambda s: pada.spaces.space("nb202"), "nb202"),
        (lambda s: pada.spaces.sub_space([]), "at least one decision"),
        (lambda s: pada.spaces.sub_space([0]), "a decision has 1 to 256"),
    ],
)
def test_bad_input_is_an_error_with_a_reason(call, text):
    with pytest.raises(pada.InputError) as error:
        call(pada.spaces.nb201())
    assert text in str(error.value)
    assert isinstance(error.value, ValueError) and isinstance(error.value, pada.PadaError)


def test_architectures_are_drawn(tmp_path):
    drawing = pada.spaces.nb201().draw("334131", [1, 1, 1, 1, 1, 1])
    assert drawing.svg.startswith("<svg") and drawing._repr_html_() == drawing.svg and "334131" in drawing.svg
    drawing.save(tmp_path / "cells.svg")
    assert (tmp_path / "cells.svg").read_text(encoding="utf-8") == drawing.svg
    assert "normal cell" in pada.spaces.darts().draw("DARTS_V2").svg
    with pytest.raises(pada.InputError, match="at least one"):
        pada.spaces.nb201().draw()
    with pytest.raises(pada.InputError):
        pada.spaces.nb201().draw("93")
