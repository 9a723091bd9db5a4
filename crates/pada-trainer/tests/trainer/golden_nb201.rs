//! Whole training steps of the NAS-Bench-201 supernet against PyTorch in float64: every `nb201_*.safetensors` of the golden
//! folder. They are written by `make_golden.py`, which lies beside that folder.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use pada_candle::CandleExecutor;
use pada_engine::Engine;
use pada_exec::{Batch, Decayed, Executor, Images, LossSpec, Precision, SgdStep, State, UnusedWeights};
use pada_graph::{Lower, Shape, WeightLayout, WeightSpec};
use pada_models::{Nb201Net, Norms};
use pada_sampler::{FixedPath, PathObservation};
use pada_space::Arch;
use pada_trainer::rules::SummedPaths;
use pada_trainer::{StepContext, TrainRule};

use crate::shared;

struct Golden(HashMap<String, Tensor>);

impl Golden {
    fn shape(&self, name: &str) -> Vec<usize> {
        self.0[name].dims().to_vec()
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        self.0[name].flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.numbers(name).into_iter().map(|v| v as f32).collect()
    }

    fn archs(&self, name: &str) -> Vec<Arch> {
        let digits = |row: &[f64]| Arch::new(row.iter().map(|&v| v as u8).collect::<Vec<u8>>());
        self.numbers(name).chunks(6).map(digits).collect()
    }

    /// |ours − theirs| ≤ 1e-4 · max|theirs| + 1e-6
    fn assert_close(&self, name: &str, ours: impl IntoIterator<Item = f64>) {
        let (ours, theirs): (Vec<f64>, _) = (ours.into_iter().collect(), self.numbers(name));
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let bound = 1e-4 * theirs.iter().fold(0.0_f64, |m, v| m.max(v.abs())) + 1e-6;
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst <= bound, "{name}: off by {worst}, allowed {bound}");
    }
}

fn wide(values: &[f32]) -> impl Iterator<Item = f64> + '_ {
    values.iter().map(|&v| f64::from(v))
}

struct Case {
    golden: Golden,
    net: Nb201Net,
    layout: WeightLayout,
    shape: Shape,
    pixels: Vec<f32>,
    labels: Vec<u32>,
}

impl Case {
    fn load(path: &Path) -> Self {
        println!("{}", path.display());
        let golden = Golden(candle_core::safetensors::load(path, &Device::Cpu).unwrap());
        let (image_dims, classes) = (golden.shape("images"), golden.shape("init.classifier.bias")[0]);
        let shape = Shape::new(image_dims[1], image_dims[2], image_dims[3]);
        let channels = golden.shape("init.stem.0.weight")[0];
        let cells = golden.0.keys().filter_map(|k| k.strip_prefix("init.cells.")?.split_once(".edges"));
        let cells = cells.map(|(cell, _)| cell).collect::<HashSet<_>>().len() / 3;
        let net = Nb201Net::new(channels, cells, shape, classes, Norms::Plain);
        let layout = net.weights().clone();
        let pixels = golden.floats("images");
        let labels = golden.numbers("labels").into_iter().map(|v| v as u32).collect();
        Self { golden, net, layout, shape, pixels, labels }
    }

    /// Every executor, the readable one first, and the engine on a GPU or its emulation last.
    fn executors(&self, precision: Precision) -> Vec<Box<dyn Executor>> {
        let init = |(_, spec): (_, &WeightSpec)| self.golden.floats(&format!("init.{}", spec.name));
        let weights: Vec<f32> = self.layout.iter().flat_map(init).collect();
        let candle = CandleExecutor::new(self.layout.clone(), weights.clone(), precision);
        let gpu = pada_emulated_gpu::engine(self.layout.clone(), &weights, precision);
        let engine = Engine::new(self.layout.clone(), weights, precision);
        let mut executors: Vec<Box<dyn Executor>> = vec![Box::new(candle), Box::new(engine)];
        executors.extend(gpu.map(|gpu| Box::new(gpu) as Box<dyn Executor>));
        executors
    }

    fn batch(&self) -> Batch<'_> {
        Batch { images: Images::given(&self.pixels, self.shape), labels: &self.labels }
    }
}

fn replay(case: &Case, executor: &mut dyn Executor) {
    println!("{}", executor.name());
    let Case { golden, net, layout, .. } = case;
    let steps = (0..).take_while(|k| golden.0.contains_key(&format!("step{k}.arch"))).count();
    assert!(steps > 0, "the file holds no step");
    for k in 0..steps {
        let arch = golden.archs(&format!("step{k}.arch")).remove(0);
        let check_gradients = &mut |_: &[_], executor: &dyn Executor| {
            for (id, spec) in layout.iter() {
                let (name, ours) = (format!("step{k}.grad.{}", spec.name), executor.gradient(id));
                match golden.0.contains_key(&name) {
                    true => golden.assert_close(&name, wide(&ours)),
                    // A gradient of exactly zero is not in the file.
                    false => assert!(ours.iter().all(|v| v.abs() <= 1e-6), "{name} is zero in PyTorch"),
                }
            }
        };
        let mut ctx = StepContext {
            executor: &mut *executor,
            net,
            paths: &mut FixedPath::new(arch).unwrap(),
            path_rng: &mut pada_trainer::RngStream::Paths.stream(0),
            rule_rng: &mut pada_trainer::RngStream::Rule.stream(0),
            sgd: SgdStep {
                lr: 0.05,
                momentum: 0.9,
                weight_decay: 2.5e-4,
                decayed: Decayed::All,
                gradient_scale: 1.0,
                unused: UnusedWeights::Decay,
                ..SgdStep::default()
            },
            clip_norm: 5.0,
            image_weights: None,
            label_smoothing: 0.0,
            drop_path: None,
            on_gradient: check_gradients,
        };
        let outcome = SummedPaths.step(&mut ctx, &case.batch()).unwrap();
        let path = &outcome.paths[0];
        golden.assert_close(&format!("step{k}.logits"), wide(&path.logits.values));
        golden.assert_close(&format!("step{k}.loss"), [path.loss]);
        golden.assert_close(&format!("step{k}.grad_norm"), [outcome.grad_norm]);
        let seen = PathObservation::new(&path.path, &path.position_norms, path.loss);
        golden.assert_close(&format!("step{k}.op_norm"), seen.op_norms(5).unwrap());
    }
    let weights = executor.read(State::Weights);
    for (id, spec) in layout.iter() {
        golden.assert_close(&format!("final.{}", spec.name), wide(&weights[layout.range(id)]));
    }
    let logits = golden.archs("eval.archs").into_iter().flat_map(|arch| {
        executor.logits(&net.lower(&arch).unwrap().simplified(), &case.batch().images).unwrap().values
    });
    golden.assert_close("eval.logits", logits.map(f64::from).collect::<Vec<_>>());
}

/// In f32 one value near zero may fall on the other side of a ReLU than in f64. The logits do not notice; the gradients move by
/// about a hundredth.
fn first_step_in_f32(case: &Case, executor: &mut dyn Executor) {
    println!("{}", executor.name());
    let golden = &case.golden;
    let arch = golden.archs("step0.arch").remove(0);
    let graph = case.net.lower(&arch).unwrap().simplified();
    let whole = LossSpec::default();
    let stats = executor.gradients(&graph, &case.batch(), &whole).unwrap();
    golden.assert_close("step0.logits", wide(&stats.logits.values));
    golden.assert_close("step0.loss", [stats.loss]);
    let (mut off, mut all) = (0.0, 0.0);
    for (id, spec) in case.layout.iter() {
        let name = format!("step0.grad.{}", spec.name);
        if golden.0.contains_key(&name) {
            let theirs = golden.numbers(&name);
            off += wide(&executor.gradient(id)).zip(&theirs).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            all += theirs.iter().map(|v| v * v).sum::<f64>();
        }
    }
    assert!((off / all).sqrt() < 0.02, "gradient off by {} of its norm", (off / all).sqrt());
}

/// Every golden file of this network.
fn files() -> Vec<PathBuf> {
    let Some(folder) = shared::golden() else { return vec![] };
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let is_golden = |path: &PathBuf| name(path).starts_with("nb201_") && name(path).ends_with(".safetensors");
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(is_golden).collect();
    if files.is_empty() {
        shared::skip(&format!("nb201_*.safetensors in {}", folder.display()));
    }
    files
}

#[test]
fn golden_steps_of_the_nb201_supernet_equal_pytorch() {
    for case in files().iter().map(|path| Case::load(path)) {
        case.executors(Precision::F64).iter_mut().for_each(|executor| replay(&case, executor.as_mut()));
    }
}

#[test]
fn golden_first_step_of_the_nb201_supernet_in_f32() {
    for case in files().iter().map(|path| Case::load(path)) {
        let mut executors = case.executors(Precision::F32);
        executors.iter_mut().for_each(|executor| first_step_in_f32(&case, executor.as_mut()));
    }
}
