//! Weights that a retraining starts from: those of an architecture in a run that is finished.

use std::path::{Path, PathBuf};

use pada_dist::ProcessGroup;
use pada_exec::State;
use pada_graph::{Lower, WeightLayout};
use pada_models::init_weights;
use pada_report::InitRecord;
use pada_space::{Arch, Darts, Genotype, is_reduction};
use pada_trainer::{RngStream, TrainError, image_shape, weights_sha256};

use crate::config::{Config, RetrainConfig, SpaceName, SupernetConfig};
use crate::error::PadaError;
use crate::eval::weights_file::check_part;
use crate::run::build;
use crate::run::inputs::Inputs;
use crate::run::session::Session;
use crate::run::trained_run::TrainedRun;

/// Initial weights of a retraining, and their origin.
pub(crate) struct Inherited {
    /// The weights, in the order of the layout of the retrained network.
    pub(crate) weights: Vec<f32>,
    /// The origin.
    pub(crate) record: InitRecord,
}

impl Inherited {
    /// Takes the weights of the architecture from the run of a folder. A tensor of the retrained network gets the values of the tensor that
    /// computes the same in the run. Tensors that the run does not have, such as scale and shift of a batch norm, are initialised as without
    /// a run.
    ///
    /// With sub-supernets, the weights are those of the sub-supernet that the architecture belongs to.
    ///
    /// # Errors
    /// Returns [`PadaError::OtherSize`] if the network has another size than that of the run, [`PadaError::PartialWeights`] or
    /// [`PadaError::OtherArch`] if the run has no weights of the architecture, and the errors of [`TrainedRun::load_in`].
    pub(crate) fn load(
        config: &RetrainConfig,
        folder: &Path,
        inputs: &Inputs,
        session: &Session,
    ) -> Result<Self, PadaError> {
        let session = Session { world: ProcessGroup::single(), ..session.clone() };
        let run = TrainedRun::load_in(folder, &session)?;
        let [theirs, ours] = [&run.inputs, inputs].map(|inputs| {
            let shape = image_shape(&inputs.images);
            (shape, inputs.images.classes())
        });
        check_size(
            folder,
            [run.config.network(), &config.network],
            [(theirs.0.channels, theirs.1), (ours.0.channels, ours.1)],
        )?;
        let source = build::trained(&run.config, theirs.0, theirs.1)?;
        let target = build::trained(&config.into(), ours.0, ours.1)?;
        let (arch, is_supernet) = arch_in(&run, config, folder)?;
        let names = match (config.network.space, is_supernet, config.stand_alone()) {
            (SpaceName::Darts, true, Some(_)) => {
                let layers = config.network.cells.unwrap_or_default();
                Names::OfCells(Box::new(Darts::genotype(&arch)?), layers)
            }
            _ => Names::Same,
        };
        let mut trained = run.trained;
        let values = trained.with_weights(|weights| {
            (weights.place)(&arch, weights.executor)?;
            let values = weights.executor.read(State::Weights);
            weights.executor.deferred_error()?;
            Ok::<_, TrainError>(values)
        })?;
        let fresh = init_weights(target.weights(), &mut RngStream::Init.stage_stream(config.seed, 0));
        let path = folder.to_path_buf();
        copy(path, source.as_ref(), &values, target.weights(), fresh, &names)
    }
}

/// Returns the architecture in the space of the run, and whether the run trained a supernet.
fn arch_in(run: &TrainedRun, config: &RetrainConfig, folder: &Path) -> Result<(Arch, bool), PadaError> {
    let text = config.arch()?;
    match &run.config {
        Config::Run(_) => {
            let arch = run.space().parse(text)?;
            check_part(folder, &run.inputs.whole, &arch)?;
            Ok((arch, true))
        }
        Config::Retrain(theirs) => {
            let (trained, arch) = (theirs.arch()?, text);
            let alike = theirs.stand_alone().is_some() == config.stand_alone().is_some();
            if trained != arch || !alike {
                let arch = if alike { arch.to_owned() } else { format!("{arch} as another kind of network") };
                return Err(PadaError::OtherArch { path: folder.into(), trained: trained.to_owned(), arch });
            }
            Ok((run.space().parse(text)?, false))
        }
    }
}

/// Checks that two networks have the same size. `shared` are the channels of the images and the number of classes.
fn check_size(
    folder: &Path,
    [theirs, ours]: [&SupernetConfig; 2],
    [their_images, our_images]: [(usize, usize); 2],
) -> Result<(), PadaError> {
    let text = |number: Option<usize>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
    let widths = |config: &SupernetConfig| {
        config.widths.map_or_else(|| "none".to_owned(), |name| format!("{name:?}").to_lowercase())
    };
    let sizes = [
        ("the search space", theirs.space.name().to_owned(), ours.space.name().to_owned(), "network.space"),
        ("channels", text(theirs.channels), text(ours.channels), "network.channels"),
        ("cells", text(theirs.cells), text(ours.cells), "network.cells"),
        ("the widths", widths(theirs), widths(ours), "network.widths"),
        ("classes", their_images.1.to_string(), our_images.1.to_string(), "data.source"),
        ("image channels", their_images.0.to_string(), our_images.0.to_string(), "data.source"),
    ];
    let different = sizes.into_iter().find(|(_, theirs, ours, _)| theirs != ours);
    match different {
        Some((what, theirs, ours, key)) => {
            Err(PadaError::OtherSize { path: folder.into(), what, theirs, ours, key })
        }
        None => Ok(()),
    }
}

/// The names that the tensors of the retrained network have in the run.
enum Names {
    /// They have the same names.
    Same,
    /// The stand-alone network has the cells of a genotype and this number of layers, and is called as in `quark0/darts`.
    OfCells(Box<Genotype>, usize),
}

impl Names {
    /// Returns the name in the run.
    fn source(&self, target: &str) -> String {
        let Self::OfCells(genotype, layers) = self else { return target.to_owned() };
        let Some(rest) = target.strip_prefix("cells.") else { return target.to_owned() };
        let Some((layer, rest)) = rest.split_once('.') else { return target.to_owned() };
        let rest = rest.replacen(".op.", ".", 1).replacen("preprocess", "pre", 1);
        let edge = rest.strip_prefix("_ops.").and_then(|rest| {
            let (edge, rest) = rest.split_once('.')?;
            let (edge, layer) = (edge.parse::<usize>().ok()?, layer.parse::<usize>().ok()?);
            let cell = if is_reduction(layer, *layers) { &genotype.reduce } else { &genotype.normal };
            let (op, from) = cell.edges.get(edge)?;
            Some(format!("edges.{}<-{from}.{op}.{rest}", edge / 2 + 2))
        });
        format!("cells.{layer}.{}", edge.unwrap_or(rest))
    }
}

/// Copies the values of all tensors that both networks have.
fn copy(
    run: PathBuf,
    source: &dyn Lower,
    values: &[f32],
    target: &WeightLayout,
    mut weights: Vec<f32>,
    names: &Names,
) -> Result<Inherited, PadaError> {
    let layout = source.weights();
    let (mut inherited, mut initialised) = (0, 0);
    for (id, spec) in target.iter() {
        let name = names.source(&spec.name);
        let Some(found) = layout.find(&name) else {
            initialised += spec.numel();
            continue;
        };
        let theirs = layout.spec(found);
        if theirs.shape != spec.shape {
            let (what, key) = ("the shape of a tensor", "network.channels");
            let shape = |name: &str, shape: &[usize]| format!("{name} {shape:?}");
            let (theirs, ours) = (shape(&name, &theirs.shape), shape(&spec.name, &spec.shape));
            return Err(PadaError::OtherSize { path: run, what, theirs, ours, key });
        }
        weights[target.range(id)].copy_from_slice(&values[layout.range(found)]);
        inherited += spec.numel();
    }
    let weights_sha256 = Some(weights_sha256(&weights));
    let record = InitRecord {
        run: run.display().to_string(),
        weights_sha256,
        inherited: Some(inherited),
        initialised: Some(initialised),
    };
    Ok(Inherited { weights, record })
}
