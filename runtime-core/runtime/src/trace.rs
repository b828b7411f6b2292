//! Profiles as Chrome traces: a file that `chrome://tracing` and Perfetto open.

use std::fmt::Write;

use remuda_host::StepTime;

/// The steps of one run as a Chrome trace.
#[must_use]
pub fn chrome_trace(steps: &[StepTime]) -> String {
    let mut out = "{\"traceEvents\":[".to_owned();
    for (at, step) in steps.iter().enumerate() {
        let label = if step.name.is_empty() { &step.op } else { &step.name };
        let (start, time) = (step.start.as_secs_f64() * 1e6, step.time.as_secs_f64() * 1e6);
        let comma = if at > 0 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(
            out,
            "{comma}\n{{\"name\":{},\"cat\":{},\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":{start:.3},\"dur\":{time:.3},\"args\":{{\"dims\":\"{:?}\",\"kernel\":{}}}}}",
            json_text(label),
            json_text(&step.op),
            step.dims,
            json_text(&step.kernel),
        );
    }
    out.push_str("\n]}\n");
    out
}

fn json_text(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{StepTime, chrome_trace};
    use std::time::Duration;

    #[test]
    fn names_are_escaped() {
        let step = StepTime {
            name: "a\"b\n".to_owned(),
            op: "Add".to_owned(),
            kernel: "fast".to_owned(),
            dims: vec![1, 2],
            start: Duration::from_micros(5),
            time: Duration::from_micros(7),
        };
        let want = "{\"traceEvents\":[\n{\"name\":\"a\\\"b\\u000a\",\"cat\":\"Add\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":5.000,\"dur\":7.000,\"args\":{\"dims\":\"[1, 2]\",\"kernel\":\"fast\"}}\n]}\n";
        assert_eq!(chrome_trace(&[step]), want);
    }
}
