//! Prints what loading a provider library costs, step by step: looking at the file without running it,
//! loading it, and opening it with its devices. Each round is a process of its own: a library is loaded
//! once only. `cargo run --release -p remuda-host --example loading LIBRARY`. Not a test.
#![expect(clippy::print_stdout, reason = "the point of the program")]

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use remuda_host::Provider;
use remuda_host::loading::{Config, Entry, Isolation, Registry};

const ROUNDS: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let library = args.next().ok_or("expected the library of a provider")?;
    if args.next().as_deref() == Some("once") {
        return once(library.into());
    }
    let mut rounds: Vec<[f64; 2]> = Vec::new();
    for _ in 0..ROUNDS {
        let output = Command::new(std::env::current_exe()?).args([&library, "once"]).output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut times = text.split_whitespace().map(str::parse);
        let mut next = || times.next().ok_or("a round failed")?.map_err(Box::<dyn Error>::from);
        rounds.push([next()?, next()?]);
    }
    println!("{library}, medians of {ROUNDS} processes");
    println!("file checked and library loaded  {:7.2} ms", median(&rounds, 0));
    println!("opened, devices started          {:7.2} ms", median(&rounds, 1));
    Ok(())
}

/// Loads and opens the library once, and prints the milliseconds of both.
fn once(library: PathBuf) -> Result<(), Box<dyn Error>> {
    let entry = Entry { library: Some(library), ..Entry::default() };
    let config = Config { providers: vec![entry], isolation: Isolation::None, ..Config::default() };
    let started = Instant::now();
    let found = Registry::discover(&config);
    let loaded = started.elapsed();
    let provider =
        found.providers.first().ok_or("the library is refused: `remuda doctor` says why")?;
    let started = Instant::now();
    Provider::open(provider.table, 1, &[])?.devices()?;
    println!("{} {}", loaded.as_secs_f64() * 1e3, started.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

fn median(rounds: &[[f64; 2]], column: usize) -> f64 {
    let mut times: Vec<f64> = rounds.iter().map(|round| round[column]).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
