# %% [markdown]
# # PA&DA on your own PyTorch supernet
#
# The samplers of `pada` never see a model, so they work in any training loop. This example trains a small supernet of
# your own on random images: paths and images are drawn in proportion to their gradient norms. It then resumes the
# training from a checkpoint, with the same numbers. It takes a few seconds on a CPU.
#
# Run: `pip install . torch` in `crates/pada-python`, then `python own_supernet.py`.

# %%
import io

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import pada

torch.manual_seed(0)
torch.use_deterministic_algorithms(True)

OPS = ["skip", "conv_1x1", "conv_3x3"]
LAYERS, CHANNELS, CLASSES, EPOCHS = 3, 8, 4, 16

# %% [markdown]
# ## The supernet
#
# Each of three layers has three operations with weights of their own. A path chooses one operation per layer.


# %%
def conv(kernel):
    return nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, kernel, padding=kernel // 2), nn.ReLU())


class Supernet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.layers = nn.ModuleList(nn.ModuleList([nn.Identity(), conv(1), conv(3)]) for _ in range(LAYERS))
        self.head = nn.Linear(CHANNELS * 8 * 8, CLASSES)

    def operations(self, path):
        """The module at each position of a path."""
        return [layer[op] for layer, op in zip(self.layers, path)]

    def forward(self, x, path):
        x = self.stem(x)
        for operation in self.operations(path):
            x = operation(x)
        return self.head(x.flatten(1))


# %% [markdown]
# ## The images
#
# Each class is a pattern under noise. The last 32 labels are random: nothing can learn them, so their gradients stay large.

# %%
labels = torch.randint(CLASSES, (256,))
patterns = torch.randn(CLASSES, 3, 8, 8)
pixels = patterns[labels] + torch.randn(256, 3, 8, 8)
labels[-32:] = torch.randint(CLASSES, (32,))
dataset = TensorDataset(pixels, labels)

# %% [markdown]
# ## The training loop
#
# The five lines with `paths` and `images` are PA&DA.


# %%
class Training:
    def __init__(self):
        torch.manual_seed(1)
        self.net = Supernet()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.02, momentum=0.9)
        self.paths = pada.samplers.PathImportance([len(OPS)] * LAYERS, seed=0)
        self.images = pada.samplers.DataImportance(len(dataset), seed=0)
        self.loader = DataLoader(dataset, batch_size=32, sampler=self.images)
        self.losses = []

    def epoch(self, epoch):
        total = 0.0
        for indices, (x, y) in self.images.batches(self.loader):
            path = self.paths.next_path()
            logits = self.net(x, path)
            loss = cross_entropy(logits, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.paths.observe(path, pada.samplers.position_norms(self.net.operations(path)), float(loss.detach()))
            self.images.observe(indices, pada.samplers.image_norms(logits, y))
            self.optimizer.step()
            total += float(loss.detach()) * len(x)
        self.paths.end_epoch(epoch, EPOCHS)
        self.images.end_epoch(epoch, EPOCHS)
        self.losses.append(total / len(dataset))

    @torch.no_grad()
    def loss(self, path):
        """The loss of one path on the images that can be learnt."""
        return float(cross_entropy(self.net(pixels[:-32], path), labels[:-32]))

    def state_dict(self):
        parts = ["net", "optimizer", "paths", "images"]
        return {part: getattr(self, part).state_dict() for part in parts} | {"losses": self.losses}

    def load_state_dict(self, state):
        for part in ["net", "optimizer", "paths", "images"]:
            getattr(self, part).load_state_dict(state[part])
        self.losses = list(state["losses"])


# %%
training = Training()
before = training.loss([2] * LAYERS)
for epoch in range(EPOCHS):
    if epoch == EPOCHS // 2:
        checkpoint = io.BytesIO()
        torch.save(training.state_dict(), checkpoint)
    training.epoch(epoch)
    print(f"epoch {epoch + 1}: loss {training.losses[-1]:.3f}")
after = training.loss([2] * LAYERS)
print(f"loss of the path 222: {before:.3f} before, {after:.3f} after training")

# %% [markdown]
# ## What was learnt
#
# Operations without weights have no gradient, so they are drawn less and less often. Images that are hard to learn are drawn more often.

# %%
p = training.paths.distribution()[0]
print("operations are drawn with " + ", ".join(f"{op} {share:.2f}" for op, share in zip(OPS, p)))
q = training.images.distribution()
print(f"12 % of the labels are random; {100 * q[-32:].sum():.0f} % of the draws are theirs")

# %% [markdown]
# ## Resume
#
# A checkpoint contains the state of both samplers. Training that continues from it has the same losses to the last bit.

# %%
checkpoint.seek(0)
resumed = Training()
resumed.load_state_dict(torch.load(checkpoint, weights_only=True))
for epoch in range(EPOCHS // 2, EPOCHS):
    resumed.epoch(epoch)
print("the same losses:", resumed.losses == training.losses)

assert after < 0.8 * before, "the loss falls"
assert p[0] < 0.2 and abs(p.sum() - 1) < 1e-9, "the distribution moves"
assert q[-32:].sum() > 0.15, "images that are hard are drawn more often"
assert resumed.losses == training.losses, "resume gives the same numbers"
assert (resumed.paths.distribution() == training.paths.distribution()).all()
