use std::path::Path;

use pada::Device;
use pada::data::{CIFAR10, CIFAR100, Cifar};
use pada::engine::cuda::{self, CudaError, Driver, DriverOptions, KernelResources};
use pada::exec::Precision;
use pada::nasbench::{Darts214Table, Darts1000Table, Download, MacroTable, NasBenchError, Nb201Table};
use serde_json::json;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// List the registers, memory and occupancy of every kernel on the first GPU.
    #[arg(long)]
    kernels: bool,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

/// The result of one check.
struct Finding {
    what: &'static str,
    /// A description of what was found, or how to install it.
    state: Result<String, String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let data = super::data_dir();
    let kernels = kernels();
    let findings = [
        Finding { what: "pada", state: Ok(env!("CARGO_PKG_VERSION").to_owned()) },
        Finding { what: "cpu", state: Ok(cpu()) },
        Finding { what: "engine", state: Ok(engine()) },
        Finding { what: "gpu", state: gpu() },
        Finding { what: "nvrtc", state: nvrtc() },
        Finding { what: "kernels", state: kernels.as_deref().map(summary).map_err(Clone::clone) },
        Finding { what: "mini images", state: mini() },
        Finding { what: CIFAR10.name, state: cifar(&CIFAR10, &data) },
        Finding { what: CIFAR100.name, state: cifar(&CIFAR100, &data) },
        Finding { what: "mini table", state: mini_table() },
        Finding { what: "nb201 table", state: nb201(&Download::Nb201.path(&data)) },
        Finding { what: "macro table", state: nas_bench_macro(&Download::NasBenchMacro.path(&data)) },
        Finding { what: "darts-214", state: darts_214(&Download::Darts214.path(&data)) },
        Finding { what: "darts-1000", state: darts_1000(&Download::Darts1000.path(&data)) },
    ];
    for Finding { what, state } in &findings {
        match state {
            Ok(found) => say!("ok       {what:<12} {found}"),
            Err(advice) => say!("missing  {what:<12} {advice}"),
        }
    }
    let missing: Vec<&str> = findings.iter().filter(|f| f.state.is_err()).map(|f| f.what).collect();
    if !missing.is_empty() && !missing.iter().any(|what| what.starts_with("mini")) {
        say!(
            "\nthe missing items are only needed for other data sets and for GPUs; plain `pada` runs without them"
        );
    }
    let listed = kernels.as_deref().ok().filter(|_| args.kernels);
    if let Some(kernels) = listed {
        list(kernels)?;
    }
    if args.json {
        let entry = |f: &Finding| {
            (
                f.what.replace(' ', "_"),
                json!({"found": f.state.is_ok(), "detail": f.state.as_ref().unwrap_or_else(|e| e)}),
            )
        };
        let mut object: serde_json::Map<_, _> = findings.iter().map(entry).collect();
        object.extend(listed.map(|kernels| ("kernel_list".to_owned(), to_json(kernels))));
        say!("{}", serde_json::Value::Object(object));
    }
    Ok(())
}

fn cpu() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{threads} threads, {}", features().join(" "))
}

fn engine() -> String {
    let level = pada::engine::Isa::detect();
    match pada::engine::has_bf16() {
        true => format!("{level}; compute.precision = \"bf16\" has instructions of its own"),
        false => format!("{level}; no bf16 instructions: compute.precision = \"bf16\" computes in f32"),
    }
}

fn gpu() -> Result<String, String> {
    let gpus = cuda::gpus().map_err(|e| e.to_string())?;
    let said = |gpu: &cuda::Gpu| {
        let gib = gpu.memory as f64 / f64::from(1 << 30);
        format!("cuda:{} {}, compute capability {}, {gib:.1} GiB", gpu.ordinal, gpu.name, gpu.capability)
    };
    let list = gpus.iter().map(said).collect::<Vec<_>>().join("; ");
    match Device::choose("auto").map_err(|e| e.to_string())?.why_no_gpu {
        None => Ok(format!("{list}; computes known networks as the CPU does")),
        Some(reason) => Err(format!("{list}; {reason}")),
    }
}

fn nvrtc() -> Result<String, String> {
    cuda::compiler().map(|version| version.to_string()).map_err(|e| e.to_string())
}

/// The kernels of one precision, as the driver loaded them.
struct Loaded {
    precision: &'static str,
    kernels: Vec<KernelResources>,
}

/// The kernels of the first GPU, for f32 and for bf16.
fn kernels() -> Result<Vec<Loaded>, String> {
    let mut options = DriverOptions::default();
    options.cache = cuda::kernel_cache();
    let loaded = |(precision, name)| {
        let driver = Driver::open(0, precision, &options)?;
        Ok(Loaded { precision: name, kernels: driver.resources()? })
    };
    let all = [(Precision::F32, "f32"), (Precision::Bf16, "bf16")].into_iter().map(loaded);
    all.collect::<Result<_, CudaError>>().map_err(|error| error.to_string())
}

fn summary(all: &[Loaded]) -> String {
    let of = |Loaded { precision, kernels }: &Loaded| {
        let most = kernels.iter().map(|kernel| kernel.registers).max().unwrap_or_default();
        let local = kernels.iter().filter(|kernel| kernel.local_bytes > 0).count();
        let one = kernels.iter().filter(|kernel| kernel.blocks_per_multiprocessor < 2).count();
        format!(
            "{precision}: {} loaded, at most {most} registers per thread, {local} use local memory, {one} run fewer than 2 blocks per \
             multiprocessor",
            kernels.len()
        )
    };
    all.iter().map(of).collect::<Vec<_>>().join("; ")
}

fn list(all: &[Loaded]) -> anyhow::Result<()> {
    say!("\nprecision  kernel                  threads  registers  local bytes  shared bytes  blocks/SM");
    for Loaded { precision, kernels } in all {
        for kernel in kernels {
            let KernelResources { kernel: name, threads, registers, local_bytes, shared_bytes, .. } = kernel;
            let blocks = kernel.blocks_per_multiprocessor;
            say!(
                "{precision:<9}  {name:<22}  {threads:>7}  {registers:>9}  {local_bytes:>11}  {shared_bytes:>12}  {blocks:>9}"
            );
        }
    }
    Ok(())
}

fn to_json(all: &[Loaded]) -> serde_json::Value {
    let of = |precision: &str, kernel: &KernelResources| {
        json!({
            "precision": precision,
            "kernel": kernel.kernel,
            "threads": kernel.threads,
            "registers": kernel.registers,
            "local_bytes": kernel.local_bytes,
            "shared_bytes": kernel.shared_bytes,
            "blocks_per_multiprocessor": kernel.blocks_per_multiprocessor,
        })
    };
    all.iter().flat_map(|loaded| loaded.kernels.iter().map(|kernel| of(loaded.precision, kernel))).collect()
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let all = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    all.into_iter().filter(|(_, found)| *found).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    vec![std::env::consts::ARCH]
}

fn mini() -> Result<String, String> {
    let splits = pada::data::mini().map_err(|e| e.to_string())?;
    Ok(format!("{} training and {} test images, embedded", splits.train.len(), splits.test.len()))
}

fn cifar(set: &Cifar, data: &Path) -> Result<String, String> {
    let dir = &data.join(set.name);
    if !set.is_in(dir) {
        return Err(format!("not in {}; run `pada download {}`", dir.display(), set.name));
    }
    let splits = set.read(dir).map_err(|e| e.to_string())?;
    Ok(format!("{} training and {} test images in {}", splits.train.len(), splits.test.len(), dir.display()))
}

fn mini_table() -> Result<String, String> {
    let table = pada::nasbench::mini().map_err(|e| e.to_string())?;
    Ok(format!("{} architectures, embedded", table.archs().len()))
}

fn nb201(path: &Path) -> Result<String, String> {
    archs_in(path, Nb201Table::load(path).map(|table| table.archs().len()))
}

fn nas_bench_macro(path: &Path) -> Result<String, String> {
    archs_in(path, MacroTable::load(path).map(|table| table.table().archs().len()))
}

fn darts_214(path: &Path) -> Result<String, String> {
    archs_in(path, Darts214Table::load(path).map(|table| table.table().archs().len()))
}

fn darts_1000(path: &Path) -> Result<String, String> {
    archs_in(path, Darts1000Table::load(path).map(|table| table.table().archs().len()))
}

fn archs_in(path: &Path, archs: Result<usize, NasBenchError>) -> Result<String, String> {
    let archs = archs.map_err(|e| e.to_string())?;
    Ok(format!("{archs} architectures in {}", path.display()))
}
