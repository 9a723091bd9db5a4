//! Writes the seeds in pada's own file formats into `corpus/`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, seed) in
        [("checkpoints", pada_fuzz::checkpoint_seed()), ("safetensors", pada_fuzz::safetensors_seed())]
    {
        std::fs::create_dir_all(corpus.join(target))?;
        std::fs::write(corpus.join(target).join("seed.safetensors"), seed)?;
    }
    Ok(())
}
