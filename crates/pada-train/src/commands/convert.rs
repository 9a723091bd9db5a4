use std::path::{Path, PathBuf};

use anyhow::Context;
use pada::nasbench::{Download, Nb201Table};
use pada::space::Nb201Encoding;
use pada::{
    ConfigError, Existing, Notation, PadaError, ReadArch, SpaceName, check_new_file, check_output, write_file,
};
use serde_json::json;

use super::Encoding;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Search space.
    #[arg(long, value_enum, default_value = "nb201")]
    space: SpaceName,
    #[command(flatten)]
    input: Input,
    /// Numbering of edges and operations in digits of nb201.
    #[arg(long, value_enum, default_value = "benchmark")]
    encoding: Encoding,
    /// Notation of the output.
    #[arg(long, value_enum)]
    to: Notation,
    /// Output file with one architecture per line; stdout if not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace an existing file.
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON object as the last line of stdout, with the list `archs`.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Input {
    /// The architecture in any text form of its space, the name of a published one, or index:N for the index N of the benchmark table of
    /// nb201.
    #[arg(long, value_name = "TEXT")]
    arch: Option<String>,
    /// A file with one architecture per line, or a table with the column arch.
    #[arg(long)]
    file: Option<PathBuf>,
    /// The file of this name if there is one, and otherwise the architecture.
    #[arg(long, value_name = "TEXT|FILE")]
    from: Option<String>,
}

impl Input {
    /// Returns the text of one architecture, or the file of several.
    fn given(&self) -> Result<&str, &Path> {
        match (&self.arch, &self.file, &self.from) {
            (Some(text), _, _) => Ok(text),
            (_, Some(file), _) => Err(file),
            (_, _, Some(from)) if Path::new(from).is_file() => Err(Path::new(from)),
            (_, _, from) => Ok(from.as_deref().unwrap_or_default()),
        }
    }
}

/// The start of the index of an architecture in the benchmark table.
const INDEX: &str = "index:";

/// Reads texts and indices. The benchmark table is read when it is needed.
struct Reader<'a> {
    args: &'a Args,
    encoding: Nb201Encoding,
    table: Option<Nb201Table>,
}

impl Reader<'_> {
    fn table(&mut self) -> Result<&Nb201Table, PadaError> {
        let table = match self.table.take() {
            Some(table) => table,
            None => Nb201Table::load(Download::Nb201.path(super::data_dir()))?,
        };
        Ok(self.table.insert(table))
    }

    fn read(&mut self, text: &str) -> Result<ReadArch, PadaError> {
        let space = self.args.space;
        match text.trim().strip_prefix(INDEX) {
            Some(index) if space == SpaceName::Nb201 => {
                let (key, value, range) = ("index", index.trim(), "a number from 0 to 15624");
                let number = value.parse();
                let number =
                    number.map_err(|_| ConfigError::Range { key, value: value.to_owned(), range })?;
                Ok(ReadArch::at_index(number, self.table()?)?)
            }
            _ => ReadArch::parse(space, text, self.encoding),
        }
    }

    fn write(&mut self, arch: &ReadArch) -> Result<String, PadaError> {
        let to = self.args.to;
        let table = match to {
            Notation::Index if self.args.space == SpaceName::Nb201 => Some(self.table()?),
            _ => None,
        };
        arch.write(to, table)
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let given = args.input.given();
    if let Some(out) = &args.out {
        check_output(out, &["txt"], &given.err().into_iter().collect::<Vec<_>>())?;
        check_new_file(out, if args.overwrite { Existing::Replace } else { Existing::Refuse })?;
    }
    let encoding = args.encoding.of(args.space).map_err(PadaError::from)?;
    let mut reader = Reader { args, encoding, table: None };
    let archs = match given {
        Ok(text) => vec![reader.read(text)?],
        Err(file) => ReadArch::read_file(file, |text| reader.read(text))?,
    };
    let write = |arch: &ReadArch| reader.write(arch).with_context(|| arch.name().to_owned());
    let texts = archs.iter().map(write).collect::<Result<Vec<_>, _>>()?;
    match &args.out {
        Some(out) => {
            write_file(out, (texts.join("\n") + "\n").as_bytes())?;
            say!("{}", out.display());
        }
        None => {
            for text in &texts {
                say!("{text}");
            }
        }
    }
    if args.json {
        say!("{}", json!({"archs": texts, "file": args.out}));
    }
    Ok(())
}
