use std::convert::Infallible;

use pada_space::{Arch, SearchSpace, SubSpace};
use rand::Rng;

use crate::search::{Open, identity, not_nan};
use crate::{
    AskError, Evaluated, Fidelity, History, Outcome, Request, SearchError, SearchView, Searcher, Searching,
};

/// A search whose scores are computed by the caller: it is asked for an architecture and told its score, whenever it is known.
///
/// It visits the same architectures as [`Search::run`](crate::Search::run) with the same random generator and the same scores.
///
/// ```
/// use pada_search::{AgeingConfig, AskTell, SearchMethod, Searching};
/// use pada_space::{Nb201, SubSpace};
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
///
/// let method = SearchMethod::AgeingEvolution(AgeingConfig { samples: 30, ..AgeingConfig::default() });
/// let searching = Searching::new(method.searcher()?, ChaCha8Rng::seed_from_u64(0));
/// let space = Nb201::new();
/// let part = SubSpace::full(&space);
/// let mut search = AskTell::new(Box::new(space), part, searching, None)?;
/// while let Some(request) = search.ask(&|_| true)? {
///     let score = request.arch.count(3) as f64; // any score of your own
///     search.tell(Some(score), 0.0)?;
/// }
/// println!("{}", search.searching().history.best(1)[0].arch);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct AskTell<R> {
    space: Box<dyn SearchSpace>,
    sub_space: SubSpace,
    searching: Searching<R>,
    pending: Option<Request>,
}

impl<R> std::fmt::Debug for AskTell<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AskTell").field("history", &self.searching.history).finish_non_exhaustive()
    }
}

impl<R: Rng> AskTell<R> {
    /// Creates or continues a search in a part of a space. `pending` is the request of an earlier search that waits for its score.
    ///
    /// # Errors
    /// Returns [`SearchError::Space`] if the history contains an architecture of another space.
    pub fn new(
        space: Box<dyn SearchSpace>,
        sub_space: SubSpace,
        mut searching: Searching<R>,
        pending: Option<Request>,
    ) -> Result<Self, SearchError<Infallible>> {
        if let Some(request) = &pending {
            space.check(&request.arch)?;
        }
        searching.history = searching.history.indexed(|arch| identity(space.as_ref(), None, arch))?;
        Ok(Self { space, sub_space, searching, pending })
    }

    /// Returns the next architecture whose score the method needs, or `None` if the search is finished. Until a score is told, it is the same
    /// one. Infeasible architectures and those with a known score are answered without the caller.
    ///
    /// # Errors
    /// Returns [`AskError::NothingFeasible`] if no feasible architecture was found, or an error of the space.
    pub fn ask(&mut self, constraint: &dyn Fn(&Arch) -> bool) -> Result<Option<Request>, AskError> {
        if let Some(request) = &self.pending {
            return Ok(Some(request.clone()));
        }
        loop {
            let Searching { method, history, rng } = &mut self.searching;
            let (space, sub_space) = (self.space.as_ref(), &self.sub_space);
            let mut view =
                SearchView { space, sub_space, constraint, identity: None, candidates: &[], history, rng };
            let Some(request) = method.ask(&mut view)? else { return Ok(None) };
            let same = |arch: &Arch| identity(space, None, arch);
            match Open::of(&request, space, sub_space, constraint, &same, history, true)? {
                Open::Answered(outcome) => method.tell(history, &request, outcome),
                Open::Quick { .. } | Open::Full { .. } => {
                    self.pending = Some(request.clone());
                    return Ok(Some(request));
                }
            }
        }
    }

    /// Receives the score of the architecture that was asked for last, or `None` if it cannot be scored. Larger scores and lower costs are
    /// better. The cost of an estimate ([`Fidelity::Quick`]) is not kept.
    ///
    /// # Errors
    /// Returns [`SearchError::NotAsked`] if no request is open, and [`SearchError::Nan`] if a number is NaN. The request stays open then.
    pub fn tell(&mut self, score: Option<f64>, cost: f64) -> Result<(), SearchError<Infallible>> {
        let request = self.pending.as_ref().ok_or(SearchError::NotAsked)?;
        let Searching { method, history, .. } = &mut self.searching;
        // The constraint held when the architecture was asked for.
        let (space, sub_space) = (self.space.as_ref(), &self.sub_space);
        let same = |arch: &Arch| identity(space, None, arch);
        let outcome = match (Open::of(request, space, sub_space, &|_| true, &same, history, true)?, score) {
            (Open::Answered(outcome), _) => outcome,
            (Open::Quick { .. }, None) => Outcome::Failed,
            (Open::Quick { arch }, Some(score)) => {
                Outcome::Estimated { score: not_nan("quick score", &arch, score)? }
            }
            (Open::Full { arch, same }, None) => history.add_failed(same, arch),
            (Open::Full { arch, same }, Some(score)) => {
                let (score, cost) = (not_nan("score", &arch, score)?, not_nan("cost", &arch, cost)?);
                history.add(same, Evaluated { arch, score, cost })
            }
        };
        debug_assert!(request.fidelity == Fidelity::Full || !matches!(outcome, Outcome::Scored { .. }));
        method.tell(history, request, outcome);
        self.pending = None;
        Ok(())
    }

    /// Returns the request that waits for its score.
    pub fn pending(&self) -> Option<&Request> {
        self.pending.as_ref()
    }

    /// Returns the method, everything that was evaluated, and the random generator.
    pub fn searching(&self) -> &Searching<R> {
        &self.searching
    }

    /// Returns everything that was evaluated.
    pub fn history(&self) -> &History {
        &self.searching.history
    }
}
