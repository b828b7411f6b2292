//! Whether the compiler keeps the sums of hot loops in registers.
//!
//! A product is fast while its sums stay in vector registers; one change too many and the compiler
//! moves them to the stack and back at every step, which no test of results notices. Read from the
//! machine code of the command line (the wheel's has no symbols): an innermost loop that multiplies and adds is hot, a store of
//! a vector to the stack within it is a spill.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many spills all hot loops of an instruction set may hold together. The counts of today: whoever
/// lowers one writes the new one here. A function counts for the first symbol that it has. Most are
/// where products with block formats expand a block of weights, which takes all registers of AVX2.
const LIMITS: &[Limit] = &[
    Limit { symbol: "block::lanes::avx2", least_loops: 150, most_spills: 2900 },
    Limit { symbol: "block::lanes::avx512", least_loops: 60, most_spills: 30 },
    Limit { symbol: "isa::x86::Avx2", least_loops: 60, most_spills: 160 },
    Limit { symbol: "isa::x86::Avx512", least_loops: 60, most_spills: 100 },
    Limit { symbol: "int8::tile::x86", least_loops: 10, most_spills: 30 },
];

/// Multiplications in a loop that make it hot.
const HOT: usize = 4;

struct Limit {
    /// Part of the name of the functions that it counts.
    symbol: &'static str,
    /// How many hot loops there have to be, so that a renamed function does not pass unseen.
    least_loops: usize,
    most_spills: usize,
}

/// What a function holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    loops: usize,
    spills: usize,
}

/// Whether the limits are those of this machine's processors.
pub(crate) const HAS_LIMITS: bool = cfg!(target_arch = "x86_64");

/// Checks the release of the command line, built under `target`.
pub(crate) fn run(target: &Path) -> Result<()> {
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--release", "--quiet", "--package", "remuda-cli"]);
    if !build.status().context("cannot run `cargo`")?.success() {
        bail!("the command line does not build");
    }
    let counts = disassemble(&target.join("release/remuda"))?;
    let mut faults = Vec::new();
    for (limit, count) in LIMITS.iter().zip(counts) {
        let text = format!("{}: {} hot loops, {} spills", limit.symbol, count.loops, count.spills);
        println!("{text}");
        if count.loops < limit.least_loops || count.spills > limit.most_spills {
            let (loops, spills) = (limit.least_loops, limit.most_spills);
            faults.push(format!("{text}; expected at least {loops} and at most {spills}"));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{}", faults.join("\n"))
}

/// Sums over the functions that each limit counts.
fn disassemble(program: &Path) -> Result<Vec<Count>> {
    let mut child = Command::new("objdump")
        .args(["--disassemble", "--demangle", "--no-show-raw-insn"])
        .arg(program)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `objdump` (package binutils)")?;
    let stdout = child.stdout.take().context("objdump's output is piped")?;
    let mut counts: Vec<Count> = LIMITS.iter().map(|_| Count::default()).collect();
    let mut function = Vec::new();
    let mut place = None;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        if let Some(name) = line.strip_suffix(">:") {
            add(&mut counts, place, &function);
            function.clear();
            place = LIMITS.iter().position(|limit| name.contains(limit.symbol));
        } else if place.is_some() {
            function.extend(Instruction::parse(&line));
        }
    }
    add(&mut counts, place, &function);
    if !child.wait()?.success() {
        bail!("objdump fails on `{}`", program.display());
    }
    Ok(counts)
}

fn add(counts: &mut [Count], place: Option<usize>, function: &[Instruction]) {
    let Some(count) = place.and_then(|place| counts.get_mut(place)) else { return };
    let found = hot_loops(function);
    count.loops += found.loops;
    count.spills += found.spills;
}

#[derive(Debug)]
struct Instruction {
    address: u64,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Jump(u64),
    Multiply,
    Spill,
    Other,
}

impl Instruction {
    /// A line of objdump: the address, a colon, the mnemonic, the operands.
    fn parse(line: &str) -> Option<Self> {
        let (address, text) = line.split_once(':')?;
        let address = u64::from_str_radix(address.trim(), 16).ok()?;
        let text = text.trim();
        let (mnemonic, operands) = text.split_once(' ').unwrap_or((text, ""));
        Some(Self { address, kind: Kind::of(mnemonic, operands.trim()) })
    }
}

impl Kind {
    fn of(mnemonic: &str, operands: &str) -> Self {
        const MULTIPLY: [&str; 6] = ["vfmadd", "vfnmadd", "vfmsub", "vpdp", "vpmadd", "vdpbf"];
        if mnemonic.starts_with('j') {
            let target = operands.split(' ').next().unwrap_or("");
            return u64::from_str_radix(target, 16).map_or(Self::Other, Self::Jump);
        }
        if MULTIPLY.iter().any(|start| mnemonic.starts_with(start)) {
            return Self::Multiply;
        }
        let from_vector = ["%xmm", "%ymm", "%zmm"].iter().any(|kind| operands.starts_with(kind));
        let to_stack = operands.ends_with("(%rsp)") || operands.ends_with("(%rbp)");
        if mnemonic.contains("mov") && from_vector && to_stack {
            return Self::Spill;
        }
        Self::Other
    }
}

/// The innermost loops of a function that multiply: what lies between the target of a jump back and
/// the jump, with no other such pair inside.
fn hot_loops(function: &[Instruction]) -> Count {
    let mut loops = Vec::new();
    for (end, instruction) in function.iter().enumerate() {
        if let Kind::Jump(target) = instruction.kind
            && let Ok(start) = function.binary_search_by_key(&target, |other| other.address)
            && start <= end
        {
            loops.push((start, end));
        }
    }
    let encloses = |outer: &(usize, usize), inner: &(usize, usize)| {
        outer != inner && outer.0 <= inner.0 && inner.1 <= outer.1
    };
    let mut count = Count::default();
    for this in loops.iter().filter(|this| !loops.iter().any(|other| encloses(this, other))) {
        let body = &function[this.0..=this.1];
        let of = |kind: &Kind| body.iter().filter(|instruction| instruction.kind == *kind).count();
        if of(&Kind::Multiply) >= HOT {
            count.loops += 1;
            count.spills += of(&Kind::Spill);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{Count, Instruction, hot_loops};

    #[test]
    fn stores_to_the_stack_count_in_the_innermost_loop_only() {
        let code = "  10:\tvmovups %ymm0,0x20(%rsp)
  14:\tvfmadd231ps (%rax),%ymm1,%ymm2
  18:\tvfmadd231ps (%rax),%ymm1,%ymm3
  1c:\tvmovaps %ymm4,-0x40(%rbp)
  20:\tvmovaps 0x40(%rsp),%ymm4
  24:\tvfmadd231ps (%rax),%ymm1,%ymm4
  28:\tvfmadd231ps (%rax),%ymm1,%ymm5
  2c:\tjne    14 <kernel+0x4>
  30:\tvmovups %ymm2,(%rdi)
  34:\tjb     10 <kernel>
  38:\tret";
        let code: Vec<_> = code.lines().filter_map(Instruction::parse).collect();
        assert_eq!(code.len(), 11);
        assert_eq!(hot_loops(&code), Count { loops: 1, spills: 1 });
    }
}
