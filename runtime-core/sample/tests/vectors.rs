//! What each sampler leaves equals what its definition says, worked out by `vectors.py`.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::collections::BTreeMap;

use remuda_sample::{
    Breakers, Candidates, Dry, Mirostat, MirostatVersion, Penalties, Random, bias,
    dynamic_temperature, min_p, temperature, top_k, top_n_sigma, top_p, typical, xtc,
};
use serde_json::Value;

#[expect(clippy::cast_possible_truncation, reason = "logits are single precision")]
fn number(value: &Value) -> f32 {
    value.as_f64().unwrap() as f32
}

fn tokens(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|token| u32::try_from(token.as_u64().unwrap()).unwrap())
        .collect()
}

fn apply(sampler: &str, candidates: &mut Candidates, arguments: &Value) {
    let float = |name: &str| number(&arguments[name]);
    let count = |name: &str| usize::try_from(arguments[name].as_u64().unwrap()).unwrap();
    let mut random = Random::new(1);
    match sampler {
        "top_k" => top_k(candidates, count("k")),
        "top_p" => top_p(candidates, float("p"), count("min_keep")),
        "min_p" => min_p(candidates, float("p"), count("min_keep")),
        "typical" => typical(candidates, float("p"), count("min_keep")),
        "top_n_sigma" => top_n_sigma(candidates, float("n")),
        "xtc" => xtc(candidates, 1.0, float("threshold"), 0, &mut random),
        "temperature" => temperature(candidates, float("value")),
        "dynamic_temperature" => {
            dynamic_temperature(candidates, float("middle"), float("range"), float("exponent"));
        }
        "mirostat" => {
            let mut mirostat = Mirostat::new(MirostatVersion::Two, float("mu") / 2.0, 0.1);
            mirostat.choose(candidates, &mut random).unwrap();
        }
        "penalties" => {
            let (repeat, frequency) = (float("repeat"), float("frequency"));
            let mut penalties =
                Penalties::new(Some(count("last")), repeat, frequency, float("presence"));
            tokens(&arguments["tokens"]).into_iter().for_each(|token| penalties.accept(token));
            penalties.apply(candidates);
        }
        "dry" => {
            let breakers = arguments["breakers"].as_array().unwrap().iter().map(tokens);
            let breakers = Breakers::from_tokens(&breakers.collect::<Vec<_>>());
            let (multiplier, base) = (float("multiplier"), float("base"));
            let mut dry =
                Dry::new(multiplier, base, count("allowed"), Some(count("last")), breakers);
            tokens(&arguments["tokens"]).into_iter().for_each(|token| dry.accept(token));
            dry.apply(candidates);
        }
        other => unreachable!("no sampler `{other}`"),
    }
}

#[test]
fn samplers_leave_what_their_definitions_say() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(cases.len() > 200);
    for case in &cases {
        let logits: Vec<f32> = case["logits"].as_array().unwrap().iter().map(number).collect();
        let mut candidates = Candidates::new(&logits);
        let sampler = case["sampler"].as_str().unwrap();
        apply(sampler, &mut candidates, &case["arguments"]);
        let possible = candidates.as_slice().iter().filter(|c| c.logit > f32::NEG_INFINITY);
        let got: BTreeMap<u32, f32> = possible.map(|c| (c.token, c.logit)).collect();
        let expected: BTreeMap<u32, f32> = (case["left"].as_object().unwrap().iter())
            .map(|(token, logit)| (token.parse().unwrap(), number(logit)))
            .collect();
        assert!(got.keys().eq(expected.keys()), "{case}\n{got:?}");
        for (token, logit) in expected {
            assert!((got[&token] - logit).abs() <= 1e-4 * logit.abs().max(1.0), "{case}\n{got:?}");
        }
    }
}

#[test]
fn a_bias_of_minus_infinity_bans_a_token() {
    let mut candidates = Candidates::new(&[1.0, 2.0, f32::INFINITY]);
    bias(&mut candidates, &[(2, f32::NEG_INFINITY), (0, 5.0)]);
    let logits: Vec<f32> = candidates.as_slice().iter().map(|c| c.logit).collect();
    assert_eq!(logits, [6.0, 2.0, f32::NEG_INFINITY]);
}
