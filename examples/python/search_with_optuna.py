# %% [markdown]
# # Search methods of pada and of Optuna
#
# Ask and tell works in both directions: Optuna's samplers search a space of `pada`, and a method of `pada` proposes the trials
# of a study of Optuna. The score is a benchmark table here; it may be anything, for example `run.evaluate`.
#
# Run: `pip install . optuna` in `crates/pada-python`, then `python search_with_optuna.py`.

# %%
import optuna

import pada

optuna.logging.set_verbosity(optuna.logging.WARNING)
space = pada.spaces.nb201()
table = pada.nasbench.load("mini", frame="dict")
accuracy = dict(zip(table["arch"], table["accuracy"]))


def score(arch):
    """The accuracy in the table, or None for an architecture that it does not have."""
    return accuracy.get(str(arch))


# %% [markdown]
# ## Optuna's sampler on a space of pada
#
# Each decision is a categorical parameter.

# %%
choices = {f"edge_{e}": list(range(n)) for e, n in enumerate(space.n_ops)}
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
for _ in range(60):
    trial = study.ask()
    arch = space.parse([trial.suggest_categorical(name, ops) for name, ops in choices.items()])
    value = score(arch)
    study.tell(trial, value, state=None if value is not None else optuna.trial.TrialState.FAIL)
print(f"TPE: {study.best_value:.2f} %")

# %% [markdown]
# ## A method of pada in a study of Optuna
#
# `study.enqueue_trial` takes the proposals, and Optuna keeps storage, dashboards and plots. A constraint leaves out architectures that the
# table does not have.

# %%
has_score = lambda arch: score(arch) is not None
searcher = pada.search.Searcher(space, "ageing-evolution", constraint=has_score, population=10, samples=60, seed=0)
study = optuna.create_study(direction="maximize")
while (request := searcher.ask()) is not None:
    study.enqueue_trial(dict(zip(choices, request.arch)))
    trial = study.ask()
    arch = space.parse([trial.suggest_categorical(name, ops) for name, ops in choices.items()])
    assert arch == request.arch
    study.tell(trial, score(arch))
    searcher.tell(score(arch))
print(f"ageing evolution: {study.best_value:.2f} %, the best of the table {max(accuracy.values()):.2f} %")

assert study.best_value == searcher.best().score
