use std::path::PathBuf;

use anyhow::Context;
use clap::Command;
use clap_mangen::{Man, generate_to};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the pages of all commands into this folder, instead of the first page to stdout.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, program: Command) -> anyhow::Result<()> {
    if let Some(folder) = &args.out {
        let written = std::fs::create_dir_all(folder).and_then(|()| generate_to(program, folder));
        return written.with_context(|| folder.display().to_string());
    }
    let mut page = Vec::new();
    Man::new(program).render(&mut page)?;
    super::write_out(format_args!("{}", String::from_utf8(page)?))
}
