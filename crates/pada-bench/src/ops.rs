use pada_engine::probe::{Measurement, Roofline, roofline};
use serde_json::{Value, json};

use super::device::{Device, Numbers};
use super::device_ops;
use xtask::usage::usage;

const REPEATS: u32 = 7;
const REPEATS_ON_GPU: u32 = 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Device that computes: cpu or cuda:N. On a GPU, event pairs time each operation of a training step at three sizes, beside the
    /// time that was predicted for an H100.
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Precision of convolutions on a GPU [default: f32]. On the CPU, kernels are timed in f32.
    #[arg(long)]
    precision: Option<Numbers>,
    /// Number of timings of each kernel [default: 7 on the CPU, which reports the median; 20 on a GPU, which reports the mean].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: Option<u32>,
    /// Batch size on a GPU [default: 256, the batch size of the predictions].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Threads; all cores if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    for (option, given) in [("--precision", args.precision.is_some()), ("--batch", args.batch.is_some())] {
        if given && args.device == Device::Cpu {
            return Err(usage(format!("{option} is for GPUs; leave it out, or add --device cuda:N")));
        }
    }
    args.device.gpu()?;
    rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(0)).build_global()?;
    if let Device::Cuda(ordinal) = args.device {
        let repeats = args.repeats.unwrap_or(REPEATS_ON_GPU);
        let found = device_ops::run(&device_ops::Options {
            ordinal,
            numbers: args.precision.unwrap_or(Numbers::F32),
            batch: args.batch.map(|batch| batch as usize),
            passes: repeats as usize,
        })?;
        if args.json {
            println!("{found}");
        }
        return Ok(());
    }
    let found = roofline(args.repeats.unwrap_or(REPEATS) as usize);
    println!("{:.0} GFLOP/s, {:.1} GB/s", found.flops_per_s / 1e9, found.bytes_per_s / 1e9);
    for m in &found.kernels {
        let (name, shape) = (&m.kernel, m.shape.to_string());
        println!(
            "{name:28} {shape:10} {:7.2} ms {:6.1} GFLOP/s {:6.1} GB/s {:5.1} % of the limit",
            m.seconds * 1e3,
            m.flops / m.seconds / 1e9,
            m.bytes / m.seconds / 1e9,
            100.0 * share(&found, m)
        );
    }
    if args.json {
        println!("{}", to_json(&found));
    }
    Ok(())
}

/// The time that arithmetic or memory needs at least, whichever is longer, as a share of the time it took.
fn share(limits: &Roofline, m: &Measurement) -> f64 {
    (m.flops / limits.flops_per_s).max(m.bytes / limits.bytes_per_s) / m.seconds
}

fn to_json(found: &Roofline) -> Value {
    let kernel = |m: &Measurement| {
        json!({
            "kernel": m.kernel,
            "shape": m.shape.to_string(),
            "images": m.images,
            "seconds": m.seconds,
            "flops": m.flops,
            "bytes": m.bytes,
            "gflops": m.flops / m.seconds / 1e9,
            "gbytes_per_s": m.bytes / m.seconds / 1e9,
            "share_of_flops": m.flops / m.seconds / found.flops_per_s,
            "share_of_limit": share(found, m),
        })
    };
    json!({
        "threads": rayon::current_num_threads(),
        "peak_gflops": found.flops_per_s / 1e9,
        "peak_gbytes_per_s": found.bytes_per_s / 1e9,
        "kernels": found.kernels.iter().map(kernel).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::process::ExitCode;

    use clap::Parser;
    use pada_engine::cuda;

    use super::*;
    use xtask::usage::exit_code;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn refusal(line: &[&str]) -> String {
        let args = Cli::try_parse_from([&["ops"], line].concat()).unwrap().args;
        let error = run(&args).unwrap_err();
        assert_eq!(exit_code(&error), ExitCode::from(2), "{error:#}");
        format!("{error:#}")
    }

    #[test]
    fn options_of_gpus_are_refused_on_the_cpu() {
        for option in [["--precision", "bf16"], ["--batch", "2"]] {
            let error = refusal(&option);
            assert!(error.contains(option[0]) && error.contains("--device cuda:N"), "{error}");
        }
    }

    #[test]
    fn without_a_driver_a_gpu_is_refused_in_its_words() {
        let Err(missing) = cuda::gpus() else { return };
        assert_eq!(refusal(&["--device", "cuda:0"]), format!("--device cuda:0: {missing}"));
    }
}
