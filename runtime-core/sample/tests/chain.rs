//! Chains: the same seed gives the same tokens, choices follow the probabilities, nothing panics.

use proptest::prelude::*;
use remuda_sample::{Chain, MirostatVersion, Params, SamplerName};

fn logits() -> impl Strategy<Value = Vec<f32>> {
    let special = prop_oneof![
        20 => -30.0_f32..30.0,
        1 => Just(f32::NEG_INFINITY),
        1 => Just(f32::INFINITY),
        1 => Just(f32::NAN),
        1 => Just(f32::MAX),
        1 => Just(f32::MIN),
    ];
    prop::collection::vec(special, 0..50)
}

fn params() -> impl Strategy<Value = Params> {
    let shares = (0.0_f32..=1.0, 0.0_f32..=1.0, 0.0_f32..=1.0, 0.0_f32..=1.0, 0.0_f32..=1.0);
    let mirostat = prop_oneof![
        2 => Just(None),
        1 => Just(Some(MirostatVersion::One)),
        1 => Just(Some(MirostatVersion::Two)),
    ];
    let rest = (-1.0_f32..3.0, 0.5_f32..2.0, 0_usize..60, 0_usize..5, any::<u64>(), 0.0_f32..2.0);
    (shares, mirostat, rest).prop_map(
        |((top_p, min_p, typical_p, xtc, threshold), mirostat, rest)| {
            let (temperature, repeat_penalty, top_k, min_keep, seed, dry_multiplier) = rest;
            Params {
                seed,
                top_p,
                min_p,
                typical_p,
                xtc_probability: xtc,
                xtc_threshold: threshold,
                mirostat,
                temperature,
                repeat_penalty,
                top_k,
                min_keep,
                dry_multiplier,
                ..Params::default()
            }
        },
    )
}

proptest! {
    #[test]
    fn a_choice_is_possible_and_repeats(params in params(), steps in prop::collection::vec(logits(), 1..8)) {
        let mut chain = Chain::new(params.clone()).unwrap();
        let mut twin = Chain::new(params).unwrap();
        for logits in &steps {
            let possible = logits.iter().any(|logit| *logit > f32::NEG_INFINITY);
            let choice = chain.sample(logits);
            prop_assert_eq!(choice.is_some(), possible);
            prop_assert_eq!(choice, twin.sample(logits));
            if let Some(choice) = choice {
                prop_assert!(logits[choice.token as usize] > f32::NEG_INFINITY);
                prop_assert!(choice.probability > 0.0 && choice.probability <= 1.0);
                chain.accept(choice.token);
                twin.accept(choice.token);
            }
        }
    }

    #[test]
    fn greedy_takes_the_largest(logits in logits()) {
        let choice = Chain::new(Params::greedy()).unwrap().sample(&logits);
        let largest = logits.iter().copied().filter(|logit| !logit.is_nan()).fold(f32::NEG_INFINITY, f32::max);
        if largest > f32::NEG_INFINITY {
            prop_assert_eq!(logits[choice.unwrap().token as usize], largest);
        }
    }

    #[test]
    fn a_constraint_is_kept(logits in logits(), allowed: Vec<bool>) {
        let lets = |token: u32| allowed.get(token as usize).copied().unwrap_or(false);
        let choice = Chain::new(Params::default()).unwrap().sample_allowed(&logits, lets);
        prop_assert!(choice.is_none_or(|choice| lets(choice.token)));
    }
}

/// Chi-squared over many draws: within what one in a million fair generators would exceed.
#[test]
fn choices_follow_the_probabilities() {
    let logits: [f32; 5] = [0.0, 1.0, 2.0, -1.0, 0.5];
    let samplers = vec![SamplerName::Temperature];
    let params = Params { samplers, temperature: 1.0, seed: 11, ..Params::default() };
    let mut chain = Chain::new(params).unwrap();
    let mut counts = [0_u32; 5];
    let draws = 100_000;
    for _ in 0..draws {
        counts[chain.sample(&logits).unwrap().token as usize] += 1;
    }
    let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
    let chi_squared: f64 = (counts.iter().zip(logits))
        .map(|(&count, logit)| {
            let expected = f64::from(logit).exp() / total * f64::from(draws);
            (f64::from(count) - expected).powi(2) / expected
        })
        .sum();
    assert!(chi_squared < 33.4, "{chi_squared} {counts:?}");
}

/// The mean surprise of what Mirostat chooses comes near its target.
#[test]
fn mirostat_keeps_its_target() {
    let logits: Vec<f32> = (1..=2000).map(|rank| -1.1 * (rank as f32).ln()).collect();
    for version in [MirostatVersion::One, MirostatVersion::Two] {
        let params = Params {
            mirostat: Some(version),
            mirostat_tau: 3.0,
            temperature: 1.0,
            ..Params::default()
        };
        let mut chain = Chain::new(params).unwrap();
        let mut surprise = 0.0;
        for step in 0..4000 {
            let choice = chain.sample(&logits).unwrap();
            if step >= 1000 {
                surprise -= f64::from(choice.probability).log2() / 3000.0;
            }
        }
        assert!((surprise - 3.0).abs() < 0.15, "{version:?}: {surprise}");
    }
}

#[test]
fn names_are_llama_cpps() {
    let names = "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature";
    assert_eq!(SamplerName::list(names).unwrap(), SamplerName::DEFAULT_ORDER);
    assert_eq!(SamplerName::list("top-k; nucleus, temp").unwrap().len(), 3);
    let error = SamplerName::list("top_x").unwrap_err().to_string();
    assert_eq!(error, "sampler `top_x` is not known; did you mean `top_k`?");
    let error = Chain::new(Params { top_p: 1.5, ..Params::default() }).unwrap_err().to_string();
    assert_eq!(error, "`top_p`: expected a number from 0 to 1, got 1.5");
}
