# %% [markdown]
# # Judge the scores of your own supernet
#
# A supernet is useful if its scores order architectures as training from scratch does, and better than counting parameters.
# This example judges a list of scores with intervals. Replace `scores` by yours.
#
# Run: `pip install .` in `crates/pada-python`, then `python judge_scores.py`.

# %%
import numpy as np

import pada

space = pada.spaces.nb201()
table = pada.nasbench.load("mini", frame="dict")  # "nb201" after pada.download("nb201")
archs, truth = table["arch"], table["accuracy"]
print(f"{len(archs)} architectures, {truth.min():.1f} to {truth.max():.1f} %")

# %% [markdown]
# The scores of your supernet: one number per architecture, larger is better. Here they are the true accuracies under noise.

# %%
rng = np.random.default_rng(0)
scores = truth + rng.normal(scale=2 * truth.std(), size=len(truth))

# %% [markdown]
# ## Agreement, with intervals
#
# The interval says how far a metric would move with another choice of architectures.

# %%
tau = pada.metrics.kendall_tau(scores, truth)
top = pada.metrics.p_at_top(scores, truth, 0.05)
print(f"tau-b     {tau:.3f}  {tau.interval()}  p = {tau.p_value():.1g}")
print(f"P@Top5%   {top:.3f}  {top.interval()}")
print(f"Spearman  {pada.metrics.spearman(scores, truth):.3f}")

# %% [markdown]
# ## Better than counting parameters?
#
# Architectures with more parameters are better on average. The paired difference tells whether the supernet knows more than that,
# and the partial tau removes the influence of the number of parameters.

# %%
params = np.array([space.cost(arch, channels=8, cells=1).params for arch in archs], float)
difference = pada.metrics.paired_difference(scores, params, truth)
print(f"tau-b minus that of #params  {difference}")
print(f"tau-b given #params          {pada.metrics.partial_tau(scores, truth, params):.3f}")

# %% [markdown]
# ## Fuse it with other scores
#
# The ranks of several scores are often a better score than each of them.

# %%
fused = pada.fuse({"supernet": scores, "params": params})
print(f"tau-b of both, fused         {pada.metrics.kendall_tau(fused, truth):.3f}")

assert tau in tau.interval() and tau.p_value() < 1e-3
assert pada.metrics.kendall_tau(fused, truth) > max(tau, pada.metrics.kendall_tau(params, truth))
