use pada_engine::probe::{Measurement, Roofline, roofline};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often each kernel is timed; the median counts.
    #[arg(long, default_value = "7", value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// Threads; all cores if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(0)).build_global()?;
    let found = roofline(args.repeats as usize);
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
