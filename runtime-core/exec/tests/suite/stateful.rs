//! Failure drills over caches: devices die at random points of a loop that feeds, cuts and copies
//! sequences, and the logits are the CPU's.

use std::time::Duration;

use remuda_exec::{Contract, ExecError, Options, Selection, Session, Strictness};
use remuda_ir::Graph;
use remuda_ops::Random;

use crate::common::{await_no_leak, cpu, fake, options, select};
use crate::decoder::{Feeder, Step, VOCABULARY, close, decoder, room};

const DRILLS: u64 = 400;
const SEQUENCES: u32 = 3;

/// What happens to the sequences.
enum Act {
    Feed(Step),
    Cut(u32, usize),
    Copy(u32, u32, usize),
}

struct Drill {
    graph: Graph,
    layers: usize,
    fake: Vec<(String, String)>,
    mirror: bool,
    strict: bool,
    acts: Vec<Act>,
}

fn faults(random: &mut Random) -> String {
    let kinds = ["lost", "lost", "cache", "cache", "oom", "error", "count", "panic"];
    let fault = |random: &mut Random| {
        let kind = if random.below(40) == 0 { "hang" } else { kinds[random.below(kinds.len())] };
        let spread = if kind == "cache" { 80 } else { 12 };
        format!("{kind}@{}", 1 + random.below(spread))
    };
    (0..random.below(3)).map(|_| fault(random)).collect::<Vec<_>>().join(",")
}

fn sequence(random: &mut Random) -> u32 {
    u32::try_from(random.below(SEQUENCES as usize)).expect("a small number")
}

/// A loop that makes sense: `lengths` follows what sequences have.
fn acts(random: &mut Random) -> Vec<Act> {
    let mut lengths = [0usize; SEQUENCES as usize];
    let act = |random: &mut Random| {
        let (one, other) = (sequence(random), sequence(random));
        let length = lengths[one as usize];
        match random.below(6) {
            0 if length > 0 => {
                let cut = random.below(length);
                lengths[one as usize] = cut;
                Act::Cut(one, cut)
            }
            1 if length > 0 && one != other => {
                let copied = 1 + random.below(length);
                lengths[other as usize] = copied;
                Act::Copy(one, other, copied)
            }
            _ => {
                let mut step = Step::new();
                for sequence in 0..SEQUENCES {
                    if sequence == one || random.below(3) == 0 {
                        let count = 1 + random.below(4);
                        let token = |_| i64::try_from(random.below(VOCABULARY)).expect("a token");
                        lengths[sequence as usize] += count;
                        step.push((sequence, (0..count).map(token).collect()));
                    }
                }
                Act::Feed(step)
            }
        }
    };
    let count = 4 + random.below(8);
    let mut act = act;
    (0..count).map(|_| act(random)).collect()
}

impl Drill {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let windows: Vec<Option<usize>> = (0..1 + random.below(4))
            .map(|_| (random.below(3) == 0).then(|| 2 + random.below(6)))
            .collect();
        let mut fake = vec![("devices".to_owned(), "gpu,npu".to_owned())];
        for kind in ["gpu", "npu"] {
            fake.push((format!("{kind}.fail"), faults(&mut random)));
            fake.push((format!("{kind}.cuts"), random.below(1000).to_string()));
            let own = if random.below(3) == 0 { "host" } else { "own" };
            fake.push((format!("{kind}.memory_kind"), own.to_owned()));
        }
        let strict = random.below(6) == 0;
        let acts = acts(&mut random);
        let mirror = random.below(2) == 0;
        let graph = decoder(&mut random, &windows);
        Self { graph, layers: windows.len(), fake, mirror, strict, acts }
    }

    fn options(&self) -> Options {
        let mut options = options();
        options.states = room(self.layers, SEQUENCES, self.mirror);
        options.deadline = Some(Duration::from_millis(300));
        if self.strict {
            options.contract = Contract { fallback: Strictness::Error, ..Contract::default() };
        }
        options
    }

    /// Runs the loop on the devices and on the CPU alone; gives what happened on the devices.
    fn run(self) -> Outcome {
        let pairs: Vec<(&str, &str)> = self.fake.iter().map(|(k, v)| (&**k, &**v)).collect();
        let fake = fake(&pairs);
        let only_cpu = Selection::new(&["cpu"], &[], cpu()).expect("a sound drill");
        let oracle = Session::new(self.graph.clone(), &only_cpu, &self.options());
        let oracle = oracle.expect("a sound drill");
        let mut want = Feeder::new(&oracle).expect("a sound drill");
        let selection = select(&fake, &["fake", "cpu"]);
        let outcome = match Session::new(self.graph.clone(), &selection, &self.options()) {
            Ok(session) => self.follow(&session, &mut want),
            Err(error) => {
                assert!(self.strict, "no session: {error}");
                Outcome { errors: 1, ..Outcome::default() }
            }
        };
        await_no_leak(&fake, 2);
        outcome
    }

    fn follow(&self, session: &Session, want: &mut Feeder<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut got = match Feeder::new(session) {
            Ok(feeder) => feeder,
            Err(error) => {
                assert!(self.strict, "no states: {error}");
                return Outcome { errors: 1, ..outcome };
            }
        };
        for act in &self.acts {
            match act {
                Act::Cut(sequence, length) => {
                    got.cut(*sequence, *length);
                    want.cut(*sequence, *length);
                }
                Act::Copy(from, to, length) => {
                    got.copy(*from, *to, *length);
                    want.copy(*from, *to, *length);
                }
                Act::Feed(step) => match got.step(step) {
                    Ok(logits) => {
                        let right = want.step(step).expect("a sound drill");
                        assert!(close(&logits, &right), "{logits:?} {right:?}");
                    }
                    Err(error) => {
                        let typed = matches!(error, ExecError::Failed { .. });
                        assert!(self.strict && typed, "{error}");
                        outcome.errors += 1;
                        break;
                    }
                },
            }
        }
        outcome.refilled = got.refilled;
        outcome.failovers = got.receipts.iter().map(|receipt| receipt.failovers.len()).sum();
        outcome.carried = usize::from(outcome.failovers > 0 && got.refilled == 0);
        outcome
    }
}

#[derive(Debug, Default)]
struct Outcome {
    failovers: usize,
    refilled: usize,
    /// Loops in which something failed and no sequence had to be fed again.
    carried: usize,
    errors: usize,
}

#[test]
fn whatever_fails_no_token_is_lost_or_counted_twice() {
    let mut all = Outcome::default();
    for seed in 0..DRILLS {
        let outcome = std::panic::catch_unwind(|| Drill::new(seed).run());
        let outcome = outcome.unwrap_or_else(|_| panic!("stateful drill {seed} failed"));
        all.failovers += outcome.failovers;
        all.refilled += outcome.refilled;
        all.carried += outcome.carried;
        all.errors += outcome.errors;
    }
    // The drills would prove nothing if nothing failed.
    let enough = all.failovers > 100 && all.refilled > 30 && all.carried > 30 && all.errors > 10;
    assert!(enough, "{all:?}");
}
