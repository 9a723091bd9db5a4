use pada_metrics::Metrics;
use pada_nasbench::BenchmarkTable;
use pada_space::Arch;
use pada_trainer::{ArchScore, Observer, TrainError};

use crate::error::PadaError;
use crate::eval::ranking::{Ranked, Ranking};
use crate::eval::tables::Tables;
use crate::run::trained_run::TrainedRun;

/// Scores of architectures with the weights of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The score of each architecture, in the given order.
    pub scores: Vec<ArchScore>,
}

impl Evaluation {
    /// Compares the scores with a benchmark table, over the architectures that the table has.
    ///
    /// # Errors
    /// Returns [`PadaError::Rank`] if fewer than two architectures are left, or if all scores are equal.
    pub fn agreement(&self, table: &BenchmarkTable) -> Result<Metrics, PadaError> {
        let pairs = self.scores.iter().filter_map(|s| Some((s.accuracy(), table.accuracy(&s.arch)?)));
        let (predicted, truth): (Vec<f64>, Vec<f64>) = pairs.unzip();
        Ok(Metrics::compute(&predicted, &truth, None)?)
    }
}

impl TrainedRun {
    /// Scores architectures with the weights of the run, on the images of its config.
    ///
    /// # Errors
    /// Returns [`PadaError::Train`], for example if an architecture is outside of the part of the space that was trained.
    pub fn evaluate(&mut self, archs: &[Arch]) -> Result<Evaluation, PadaError> {
        let (scoring, images) = (&self.inputs.scoring, self.inputs.scoring.eval_set());
        let scores = self.trained.with_weights(|mut weights| {
            let mut scorer = scoring.scorer(&mut weights, &images);
            archs.iter().map(|arch| scorer.score(arch)).collect::<Result<Vec<_>, TrainError>>()
        })?;
        Ok(Evaluation { scores })
    }

    /// Ranks architectures and compares the ranking with benchmark tables, as a run does at its end.
    ///
    /// # Errors
    /// Returns an error if an architecture cannot be scored, or if the observer requests to stop.
    pub fn rank(
        &mut self,
        archs: &[Arch],
        tables: &Tables,
        observer: &mut dyn Observer,
    ) -> Result<Ranked, PadaError> {
        let ranking = Ranking::of(&self.config, &self.inputs, archs, tables, &self.session.world);
        self.trained.with_weights(|weights| ranking.run(weights, None, observer))
    }
}
