use super::KERNELS;

/// The resources of one compiled kernel, as the assembler reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceUsage {
    /// Name of the kernel, one of [`KERNELS`].
    pub kernel: &'static str,
    /// Registers per thread.
    pub registers: u32,
    /// Bytes of local memory per thread, for arrays and spilled registers. Local memory is in device memory.
    pub stack_bytes: u32,
    /// Bytes per thread that are stored because there are too few registers.
    pub spill_store_bytes: u32,
    /// Bytes per thread that are loaded because there are too few registers.
    pub spill_load_bytes: u32,
    /// Bytes of static shared memory per block.
    pub shared_bytes: u32,
}

/// Parses the report of `ptxas --verbose`, in which every kernel has these lines:
///
/// ```text
/// ptxas info    : Compiling entry function 'update' for 'sm_90'
/// ptxas info    : Function properties for update
///     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
/// ptxas info    : Used 22 registers, used 1 barriers, 2048 bytes smem
/// ```
///
/// Returns `None` if a kernel or one of its numbers is missing.
pub(super) fn parse(log: &str) -> Option<Vec<ResourceUsage>> {
    KERNELS.iter().map(|kernel| of(log, kernel.name)).collect()
}

fn of(log: &str, kernel: &'static str) -> Option<ResourceUsage> {
    let begins = format!("entry function '{kernel}'");
    let mut lines = log.lines().skip_while(|line| !line.contains(&begins)).skip(1);
    let own = lines.by_ref().take_while(|line| !line.contains("entry function"));
    let (mut frame, mut used) = (None, None);
    for line in own {
        if line.contains("bytes stack frame") {
            frame.get_or_insert(line);
        } else if line.contains("Used") {
            used.get_or_insert(line);
        }
    }
    let (frame, used) = (frame?, used?);
    Some(ResourceUsage {
        kernel,
        registers: before(used, "registers")?,
        stack_bytes: before(frame, "bytes stack frame")?,
        spill_store_bytes: before(frame, "bytes spill stores")?,
        spill_load_bytes: before(frame, "bytes spill loads")?,
        // The assembler does not report resources that a kernel does not use.
        shared_bytes: before(used, "bytes smem").unwrap_or(0),
    })
}

/// Returns the number before a word.
fn before(line: &str, word: &str) -> Option<u32> {
    line[..line.find(word)?].split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(kernel: &str, spills: u32) -> String {
        format!(
            "ptxas info    : Compiling entry function '{kernel}' for 'sm_90'\n\
             ptxas info    : Function properties for {kernel}\n    \
             16 bytes stack frame, {spills} bytes spill stores, {} bytes spill loads\n\
             ptxas info    : Used 40 registers, used 1 barriers, 2048 bytes smem, 512 bytes cmem[0]\n",
            2 * spills
        )
    }

    #[test]
    fn every_number_of_the_report_is_read() {
        let all: String =
            KERNELS.iter().enumerate().map(|(i, kernel)| report(kernel.name, i as u32)).collect();
        let read = parse(&all).unwrap();
        assert_eq!(read.len(), KERNELS.len());
        for (i, (usage, kernel)) in read.iter().zip(KERNELS).enumerate() {
            let spills = i as u32;
            let expected = ResourceUsage {
                kernel: kernel.name,
                registers: 40,
                stack_bytes: 16,
                spill_store_bytes: spills,
                spill_load_bytes: 2 * spills,
                shared_bytes: 2048,
            };
            assert_eq!(*usage, expected);
        }
    }

    #[test]
    fn a_report_without_one_of_the_kernels_is_not_read() {
        let all: String = KERNELS.iter().skip(1).map(|kernel| report(kernel.name, 0)).collect();
        assert_eq!(parse(&all), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_kernel_without_shared_memory_has_zero_bytes_of_it() {
        let log = report("update", 0).replace(", 2048 bytes smem", "");
        assert_eq!(of(&log, "update").unwrap().shared_bytes, 0);
    }
}
