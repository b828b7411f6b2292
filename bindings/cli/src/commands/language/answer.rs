//! One answer: printed as it comes, or as JSON once it has ended.

use std::io::Write;
use std::time::Duration;

use remuda::{Answer, Finish, Outcome};
use serde_json::json;

use super::step_failovers_json;
use crate::failure::Failure;
use crate::print::written;

/// Prints an answer as it comes; gives the text and what it came to.
pub(super) fn print(answer: Answer) -> Result<(String, Outcome), Failure> {
    let show = |piece: &str| {
        out!("{piece}");
        written(std::io::stdout().flush());
    };
    let whole = collect(answer, show)?;
    outln!();
    Ok(whole)
}

/// The same as one object, once it has ended.
pub(super) fn print_json(answer: Answer) -> Result<(String, Outcome), Failure> {
    let (text, outcome) = collect(answer, |_| ())?;
    outln!("{:#}", to_json(&text, &outcome));
    Ok((text, outcome))
}

fn collect(mut answer: Answer, show: impl Fn(&str)) -> Result<(String, Outcome), Failure> {
    let mut text = String::new();
    for piece in &mut answer {
        let piece = piece?;
        show(&piece.text);
        text.push_str(&piece.text);
    }
    let gone = || Failure::usage("the engine ended without an answer");
    Ok((text, answer.outcome().ok_or_else(gone)?))
}

/// An answer in the words that Python has for it too.
fn to_json(text: &str, outcome: &Outcome) -> serde_json::Value {
    let finish = match outcome.finish {
        Finish::Length => "length",
        Finish::Cancelled => "cancelled",
        _ => "stop",
    };
    let usage = &outcome.usage;
    json!({
        "text": text,
        "finish_reason": finish,
        "usage": {
            "prompt_tokens": usage.prompt,
            "cached_tokens": usage.reused,
            "completion_tokens": usage.generated,
            "ahead_tokens": usage.ahead,
        },
        "prompt_seconds": outcome.prompt_time.as_secs_f64(),
        "completion_seconds": outcome.answer_time.as_secs_f64(),
        "failovers": step_failovers_json(&usage.failovers),
    })
}

/// How long an answer took.
pub(super) fn timings(outcome: &Outcome) -> String {
    let usage = &outcome.usage;
    let per_second = |tokens: usize, time: Duration| {
        #[expect(clippy::cast_precision_loss, reason = "answers are shorter")]
        let tokens = tokens as f64;
        tokens / time.as_secs_f64().max(1e-9)
    };
    format!(
        "prompt: {} tokens ({} of them cached) in {:.3} s, {:.1} tokens/s\n\
         answer: {} tokens ({} of them run ahead) in {:.3} s, {:.1} tokens/s; ended by {:?}",
        usage.prompt,
        usage.reused,
        outcome.prompt_time.as_secs_f64(),
        per_second(usage.prompt - usage.reused, outcome.prompt_time),
        usage.generated,
        usage.ahead,
        outcome.answer_time.as_secs_f64(),
        per_second(usage.generated.saturating_sub(1), outcome.answer_time),
        outcome.finish,
    )
}
