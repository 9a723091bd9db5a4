"""The samplers with PyTorch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PYTORCH IS MISSING: THE SAMPLERS ARE NOT TESTED WITH IT")

import pada  # noqa: E402
from pada import samplers  # noqa: E402


def test_the_data_sampler_is_one_of_pytorch():
    sampler = samplers.DataImportance(50, seed=0)
    assert isinstance(sampler, torch.utils.data.Sampler)
    dataset = torch.utils.data.TensorDataset(torch.arange(50))
    loader = torch.utils.data.DataLoader(dataset, batch_size=8, sampler=sampler, num_workers=1)
    for epoch in range(3):
        seen = []
        for indices, (x,) in sampler.batches(loader):
            assert x.tolist() == indices.tolist()
            sampler.observe(indices, torch.ones(len(x)) if epoch else (x < 10).float())
            seen += indices.tolist()
        sampler.end_epoch(epoch, 3)
        assert len(seen) == 50
    with pytest.raises(pada.InputError, match="sampler="):
        next(sampler.batches(torch.utils.data.DataLoader(dataset)))


def test_norms_equal_autograd():
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 4, requires_grad=True), torch.randint(4, (6,))
    torch.nn.functional.cross_entropy(logits, labels, reduction="sum").backward()
    assert samplers.image_norms(logits, labels) == pytest.approx(logits.grad.norm(dim=1).numpy(), rel=1e-5)
    net = torch.nn.Linear(3, 2)
    net(torch.randn(5, 3)).square().sum().backward()
    norms = samplers.position_norms([net, None, torch.nn.Identity(), [net, net]])
    expected = float(net.weight.grad.norm() + net.bias.grad.norm())
    assert norms == pytest.approx([expected, 0, 0, 2 * expected])


def test_tensors_are_scores():
    x = torch.randn(20, requires_grad=True)
    short = torch.tensor([1.0, 2.0, 4.0], dtype=torch.bfloat16)
    assert pada.metrics.kendall_tau(short, [1, 2, 3]) == 1.0
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 1])
    expected = samplers.image_norms(logits, labels)
    assert samplers.image_norms(logits.bfloat16(), labels).tolist() == expected.tolist()
    assert pada.metrics.kendall_tau(x, x) == 1.0
    assert pada.fuse([x, x]).dtype == np.float64
