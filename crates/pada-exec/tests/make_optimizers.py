"""Writes the golden files of optimizers and learning-rate schedules. Needs PyTorch (made with 2.15); run it in the root of the repository:

    python3 crates/pada-exec/tests/make_optimizers.py

`optimizers.csv`: one line per case with the weights after each of the steps, all weights of a step one after the other.
`schedules.csv`: one line per schedule with the rate of each epoch; the line `losses` has the losses that `plateau` reads.

TensorFlow's RMSprop is written out below, because PyTorch does not have it. Source of its formula: the class RMSpropTF in
https://github.com/huggingface/pytorch-image-models, timm/optim/rmsprop_tf.py.
"""

import torch

STEPS = 5
LR, DECAY = 0.05, 0.01
START = [1.0, -0.5, 0.25, 0.0]


def gradient(step):
    """Deterministic gradients that change their sign, with a zero and a small number."""
    return torch.tensor([0.5 - 0.2 * step, 0.1 * step * step, -0.003, 0.0])


class RmsPropTf:
    """RMSprop of TensorFlow 1: ε within the root, squares that start at 1, the learning rate within the momentum."""

    def __init__(self, weights, alpha, eps, momentum):
        self.weights, self.alpha, self.eps, self.momentum = weights, alpha, eps, momentum
        self.squares, self.buffer = torch.ones_like(weights), torch.zeros_like(weights)

    def step(self):
        with torch.no_grad():
            grad = self.weights.grad + DECAY * self.weights
            self.squares += (1 - self.alpha) * (grad * grad - self.squares)
            self.buffer = self.momentum * self.buffer + LR * grad / torch.sqrt(self.squares + self.eps)
            self.weights -= self.buffer


def moved(optimizer_of):
    weights = torch.tensor(START, requires_grad=True)
    optimizer = optimizer_of(weights)
    found = []
    for step in range(STEPS):
        weights.grad = gradient(step)
        optimizer.step()
        found += weights.tolist()
    return found


def optimizers():
    sgd = {"lr": LR, "weight_decay": DECAY}
    return {
        "sgd": lambda w: torch.optim.SGD([w], momentum=0.9, **sgd),
        "nesterov": lambda w: torch.optim.SGD([w], momentum=0.9, nesterov=True, **sgd),
        "rmsprop": lambda w: torch.optim.RMSprop([w], alpha=0.99, eps=1e-8, momentum=0.9, **sgd),
        "rmsprop-still": lambda w: torch.optim.RMSprop([w], alpha=0.9, eps=1e-3, momentum=0.0, **sgd),
        "rmsprop-tf": lambda w: RmsPropTf(w, alpha=0.9, eps=1e-3, momentum=0.9),
    }


LOSSES = [3.0, 2.0, 2.0, 1.9999, 1.9, 1.95, 1.8999, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1, 2.2, 2.3, 1.4, 1.4, 1.4, 1.4]


def rates(lr, schedule_of):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
    schedule = schedule_of(optimizer)
    found = [optimizer.param_groups[0]["lr"]]
    for loss in LOSSES:
        optimizer.step()
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            schedule.step(loss)
        else:
            schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


def schedules():
    of = torch.optim.lr_scheduler
    return {
        "losses": LOSSES,
        "cosine": rates(0.025, lambda o: of.CosineAnnealingLR(o, 30, eta_min=0.001)),
        "exponential": rates(0.1, lambda o: of.ExponentialLR(o, 0.97)),
        "step": rates(0.1, lambda o: of.StepLR(o, 3, gamma=0.97)),
        "plateau": rates(0.1, lambda o: of.ReduceLROnPlateau(o, factor=0.3, patience=1, min_lr=0.002)),
    }


def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        for name, values in lines.items():
            file.write(",".join([name] + [repr(value) for value in values]) + "\n")


write("crates/pada-exec/tests/data/optimizers.csv", {name: moved(of) for name, of in optimizers().items()})
write("crates/pada-trainer/tests/data/schedules.csv", schedules())
